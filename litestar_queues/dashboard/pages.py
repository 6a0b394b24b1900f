"""In: GET. Out: pages that show; none of them changes anything."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from litestar_queues.dashboard.desk import ASSETS, HEADERS, Desk
from litestar_queues.dashboard.filters import HOURS, read_filter, read_hours
from litestar_queues.dashboard.notices import notice_of
from litestar_queues.dashboard.overview import overview_of
from litestar_queues.dashboard.refusals import RefusedError
from litestar_queues.records import QueuedTaskRecord, RecordPage
from litestar_queues.status import TaskStatus
from litestar_queues.steering import MOST_LOOKED_AT

__all__ = ("NO_SUCH_RECORD", "find_record", "page_handlers")

NO_SUCH_RECORD = "No record has this id. It never existed, or it ended long ago and was pruned."
_MOST_RUNNING = 500
_NOTHING: dict[str, Any] = {"page": RecordPage((), None, cut_short=False), "records": (), "older": None, "newer": None}

TheDesk = NamedDependency[Desk]


@get("/", name="litestar_queues_dashboard")
async def show_overview(request: Request[Any, Any, Any], desk: TheDesk) -> Response[str]:
    hours = read_hours(request.query_params.get("hours", str(HOURS[0])))
    queue = request.query_params.get("queue") or None
    snapshot = await desk.snapshot(request)
    shown = overview_of(snapshot, await desk.eyes.tallies(hours), hours, queue)
    values = {"snapshot": snapshot, "overview": shown, "hours": hours, "spans": HOURS, "queue": queue}
    return desk.page(request, "overview.html", {**values, "notice": notice_of(request.query_params)})


@get("/records")
async def list_records(request: Request[Any, Any, Any], desk: TheDesk) -> Response[str]:
    query = {name: text for name, text in request.query_params.items() if name != "notice"}
    try:
        asked = read_filter(query)
    except RefusedError as error:
        values = _NOTHING | {"words": query, "refusal": error.sentence}
        return desk.page(request, "records.html", values, status=error.status)
    page = await desk.service.read_page(asked.which)
    if asked.which.oldest_first:  # it was come to from the page behind it
        shown = page.records[::-1]
        older, newer = shown[-1].id if shown else asked.which.after, page.next
    else:
        shown = page.records
        older, newer = page.next, shown[0].id if shown and asked.which.before else None
    values = {
        "refusal": None,
        "page": page,
        "records": shown,
        "words": asked.words,
        "older": older,
        "newer": newer,
        "most": MOST_LOOKED_AT,
        "notice": notice_of(request.query_params),
    }
    return desk.page(request, "records.html", values)


@get("/records/{record_id:str}")
async def show_record(request: Request[Any, Any, Any], record_id: FromPath[str], desk: TheDesk) -> Response[str]:
    record = await find_record(desk, record_id)
    return desk.page(request, "record.html", {"record": record, "notice": notice_of(request.query_params)})


@get("/search")
async def search(request: Request[Any, Any, Any], desk: TheDesk) -> Redirect:
    wanted = request.query_params.get("q", "").strip()
    try:
        record_id = UUID(wanted)
    except ValueError:
        return Redirect(desk.link(request, "records", key=wanted), status_code=303)
    return Redirect(desk.link(request, "records", str(record_id)), status_code=303)


@get("/workers")
async def show_workers(request: Request[Any, Any, Any], desk: TheDesk) -> Response[str]:
    snapshot = await desk.snapshot(request)
    runs: dict[str | None, list[QueuedTaskRecord]] = {}
    for record in await desk.service.list_tasks(status=TaskStatus.RUNNING, limit=_MOST_RUNNING):
        runs.setdefault(record.worker_id, []).append(record)
    return desk.page(request, "workers.html", {"workers": snapshot.workers, "runs": runs})


@get("/schedules")
async def show_schedules(request: Request[Any, Any, Any], desk: TheDesk) -> Response[str]:
    snapshot = await desk.snapshot(request)
    rows = list(zip(snapshot.schedules, snapshot.outcomes, strict=True))
    return desk.page(request, "schedules.html", {"rows": rows, "notice": notice_of(request.query_params)})


@get("/live", sync_to_thread=False)
def watch(desk: TheDesk) -> Response[Any]:
    if desk.live.lookout.is_full:
        sentence = "as many pages as most_watchers allows are live already"
        return Response(sentence, status_code=503, media_type="text/plain", headers=HEADERS | {"Retry-After": "30"})
    headers = HEADERS | {"X-Accel-Buffering": "no"}
    return Stream(desk.live.stream(), media_type="text/event-stream", headers=headers)


@get("/assets/{name:str}", sync_to_thread=False)
def show_asset(name: FromPath[str]) -> Response[bytes]:
    if name not in ASSETS:
        raise RefusedError(404, "There is no such file.")
    kind, content = ASSETS[name]
    headers = HEADERS | {"Cache-Control": "private, max-age=86400"}  # its address changes with its content
    return Response(content, media_type=kind, headers=headers)


async def find_record(desk: Desk, record_id: str) -> QueuedTaskRecord:
    """The record of an address.

    Raises:
        RefusedError: There is none.
    """
    try:
        record = await desk.service.get_task(UUID(record_id))
    except ValueError:
        record = None
    if record is None:
        raise RefusedError(404, NO_SUCH_RECORD)
    return record


page_handlers = (show_overview, list_records, show_record, search, show_workers, show_schedules, watch, show_asset)
"""The routes that are read."""
