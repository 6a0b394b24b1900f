"""In: POST of a form of ours. Out: one thing changed and a redirect to where it shows, or a sentence and no change."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from litestar import Request, post
from litestar.response import Redirect

from litestar_queues.dashboard.csrf import FIELD, check_origin
from litestar_queues.dashboard.desk import Desk
from litestar_queues.dashboard.filters import read_filter
from litestar_queues.dashboard.notices import notice
from litestar_queues.dashboard.pages import NO_SUCH_RECORD, TheDesk
from litestar_queues.dashboard.refusals import RefusedError
from litestar_queues.errors import InvalidArgumentError, UnknownTaskError
from litestar_queues.records import QueuedTaskRecord
from litestar_queues.status import TaskStatus
from litestar_queues.steering import why_not_cancelled, why_not_retried

__all__ = ("action_handlers",)

logger = logging.getLogger("litestar_queues.dashboard")

_MOST_AT_ONCE = 1_000


@post("/records/retry", status_code=303)
async def retry(request: Request[Any, Any, Any], desk: TheDesk) -> Redirect:
    form = await _Form.read(request)
    before = await _records(desk, form.ids)
    done = await desk.service.backend.retry_many(form.ids)
    if not done:
        raise _refusal(before, why_not_retried)
    return _after_records(desk, request, form, "retry", done)


@post("/records/cancel", status_code=303)
async def cancel(request: Request[Any, Any, Any], desk: TheDesk) -> Redirect:
    form = await _Form.read(request)
    before = await _records(desk, form.ids)
    done = await desk.service.backend.cancel_many(form.ids, include_running=True)
    if not done:
        raise _refusal(before, why_not_cancelled)
    running = len(form.ids) == 1 and TaskStatus.RUNNING in done.values()
    return _after_records(desk, request, form, "stop" if running else "cancel", done)


@post("/queues/pause", status_code=303)
async def pause_queue(request: Request[Any, Any, Any], desk: TheDesk) -> Redirect:
    form = await _Form.read(request)
    await desk.service.pause_queue(form.text("queue"), form.seconds)
    return _done(desk, request, "pause", form.text("queue"), queue=form.text("of"))


@post("/queues/resume", status_code=303)
async def resume_queue(request: Request[Any, Any, Any], desk: TheDesk) -> Redirect:
    form = await _Form.read(request)
    if not await desk.service.resume_queue(form.text("queue")):
        raise RefusedError(409, f"The queue {form.text('queue')!r} is not paused.")
    return _done(desk, request, "resume", form.text("queue"), queue=form.text("of"))


@post("/schedules/run", status_code=303)
async def run_schedule(request: Request[Any, Any, Any], desk: TheDesk) -> Redirect:
    name = (await _Form.read(request)).text("schedule")
    try:
        made = await desk.service.run_schedule_now(name)
    except UnknownTaskError as error:
        raise RefusedError(409, f"{error}. Run it from a process that knows the task.") from error
    except InvalidArgumentError as error:
        raise RefusedError(404, f"{error}.") from error
    return _done(desk, request, "run", name, "records", str(made.id))


@post("/schedules/pause", status_code=303)
async def pause_schedule(request: Request[Any, Any, Any], desk: TheDesk) -> Redirect:
    name = (await _Form.read(request)).text("schedule")
    _require_schedule(name, found=await desk.service.pause_schedule(name))
    return _done(desk, request, "pause-schedule", name, "schedules")


@post("/schedules/resume", status_code=303)
async def resume_schedule(request: Request[Any, Any, Any], desk: TheDesk) -> Redirect:
    name = (await _Form.read(request)).text("schedule")
    _require_schedule(name, found=await desk.service.resume_schedule(name))
    return _done(desk, request, "resume-schedule", name, "schedules")


class _Form:
    """The fields of a form that came from a page of ours."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        self._fields = fields

    @classmethod
    async def read(cls, request: Request[Any, Any, Any]) -> _Form:
        sent = await request.form()
        form = cls([(name, text) for name, text in sent.multi_items() if isinstance(text, str)])
        check_origin(request, form.text(FIELD))
        return form

    def text(self, name: str) -> str:
        return next((text for field, text in self._fields if field == name), "")

    @property
    def ids(self) -> list[UUID]:
        texts = [text for field, text in self._fields if field == "id"]
        if not 0 < len(texts) <= _MOST_AT_ONCE:
            raise RefusedError(400, f"Choose records: at least one, at most {_MOST_AT_ONCE}.")
        try:
            return [UUID(text) for text in texts]
        except ValueError:
            raise RefusedError(404, NO_SUCH_RECORD) from None

    @property
    def seconds(self) -> float | None:
        text = self.text("seconds")
        try:
            return float(text) if text else None
        except ValueError:
            raise RefusedError(400, f"seconds={text!r} is no number.") from None


async def _records(desk: Desk, ids: Sequence[UUID]) -> Sequence[QueuedTaskRecord]:
    await desk.service.open()
    found = await desk.service.backend.get_many(ids)
    if not found:
        raise RefusedError(404, NO_SUCH_RECORD)
    return list(found.values())


def _refusal(records: Sequence[QueuedTaskRecord], why: Callable[[QueuedTaskRecord], str]) -> RefusedError:
    reason = why(records[0])
    if len(records) == 1:
        return RefusedError(409, f"{reason[0].upper()}{reason[1:]}.", record=str(records[0].id))
    return RefusedError(409, f"None of the {len(records)} records was changed. The first: {reason}.")


def _require_schedule(name: str, *, found: bool) -> None:
    if not found:
        raise RefusedError(404, f"No schedule is called {name!r}.")


def _after_records(
    desk: Desk, request: Request[Any, Any, Any], form: _Form, what: str, done: Collection[UUID]
) -> Redirect:
    """Go back to the one record, or to the list as it was filtered."""
    if len(form.ids) == 1:
        return _done(desk, request, what, str(form.ids[0]), "records", str(form.ids[0]))
    asked = read_filter(dict(parse_qsl(form.text("filters"))))
    logger.info("dashboard: %s of %d records, asked for from %s", what, len(done), _client(request))
    said = notice(what, len(done), len(form.ids))
    return Redirect(desk.link(request, "records", **asked.words, notice=said), status_code=303)


def _done(desk: Desk, request: Request[Any, Any, Any], what: str, name: str, *path: str, **query: object) -> Redirect:
    logger.info("dashboard: %s of %r, asked for from %s", what, name, _client(request))
    return Redirect(desk.link(request, *path, **query, notice=notice(what)), status_code=303)


def _client(request: Request[Any, Any, Any]) -> str:
    return request.client.host if request.client else "nowhere"


action_handlers = (retry, cancel, pause_queue, resume_queue, run_schedule, pause_schedule, resume_schedule)
"""The routes that change something."""
