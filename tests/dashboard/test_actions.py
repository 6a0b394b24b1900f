"""What the forms change, and what they refuse."""

from __future__ import annotations

import pytest

from litestar_queues import task
from litestar_queues.outcomes import Completed, Failed, RunError
from litestar_queues.status import TaskStatus
from tests.builders import make_schedule
from tests.dashboard.conftest import Visitor

FAILED = Failed(RunError("E", "no"))


async def test_retry_of_a_failed_record_goes_back_to_it_and_says_so(visitor: Visitor) -> None:
    record = await visitor.end(FAILED)
    answer = await visitor.post("/records/retry", id=record)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/queues/records/{record}?notice=retry")
    assert await visitor.status(record) is TaskStatus.PENDING
    assert "The record is pending again." in (await visitor.get(f"/records/{record}?notice=retry")).text


async def test_cancel_of_a_waiting_record(visitor: Visitor) -> None:
    record = await visitor.enqueue()
    assert (await visitor.post("/records/cancel", id=record)).status_code == 303
    assert await visitor.status(record) is TaskStatus.CANCELLED


async def test_cancel_of_a_running_record_asks_its_worker(visitor: Visitor) -> None:
    record = await visitor.enqueue()
    await visitor.claim()
    answer = await visitor.post("/records/cancel", id=record)
    assert answer.headers["location"].endswith("notice=stop")
    assert await visitor.status(record) is TaskStatus.RUNNING
    assert await visitor.backend.cancel_requests("worker:1") == [record]


@pytest.mark.parametrize("action", ["retry", "cancel"])
async def test_what_cannot_be_done_is_a_sentence_and_changes_nothing(visitor: Visitor, action: str) -> None:
    done = await visitor.end(Completed(None))
    answer = await visitor.post(f"/records/{action}", id=done)
    assert answer.status_code == 409
    assert "It is completed" in answer.text
    assert f'href="/queues/records/{done}"' in answer.text
    assert await visitor.status(done) is TaskStatus.COMPLETED


async def test_a_running_record_is_not_retried(visitor: Visitor) -> None:
    record = await visitor.enqueue()
    await visitor.claim()
    answer = await visitor.post("/records/retry", id=record)
    assert answer.status_code == 409
    assert "It is running, and only failed and cancelled records can be retried." in answer.text


async def test_a_record_whose_key_is_held_is_not_retried(visitor: Visitor) -> None:
    record = await visitor.end(FAILED, key="k")
    await visitor.enqueue(key="k")
    answer = await visitor.post("/records/retry", id=record)
    assert answer.status_code == 409
    assert "Another live record has its key &#39;k&#39;: retry it once that one has ended." in answer.text


async def test_many_records_at_once_say_how_many_it_were(visitor: Visitor) -> None:
    records = [await visitor.end(FAILED) for _ in range(3)]
    done = await visitor.end(Completed(None))
    answer = await visitor.post(
        "/records/retry", id=[*map(str, records), str(done)], filters="status=failed&queue=a%26b"
    )
    assert answer.headers["location"] == "/queues/records?status=failed&queue=a%26b&notice=retry.3.4"
    assert "3 of 4 records are pending again." in (await visitor.get("/records?notice=retry.3.4")).text
    assert {await visitor.status(one) for one in records} == {TaskStatus.PENDING}


@pytest.mark.parametrize(
    ("ids", "status"),
    [([], 400), (["7"], 404), (["01a217f7-7937-7e00-9fd4-4e734085d019"], 404), (["x"] * 1001, 400)],
)
async def test_records_that_are_none_are_refused(visitor: Visitor, ids: list[str], status: int) -> None:
    assert (await visitor.post("/records/retry", id=ids)).status_code == status


async def test_a_queue_is_paused_for_a_time_and_resumed(visitor: Visitor) -> None:
    assert (await visitor.post("/queues/pause", queue="mail", seconds="900")).status_code == 303
    [pause, _] = await visitor.backend.paused_queues()
    assert pause.queue == "mail"
    assert pause.until is not None
    assert "15 min more" in (await visitor.get()).text
    answer = await visitor.post("/queues/resume", queue="mail", of="mail")
    assert answer.headers["location"] == "/queues?queue=mail&notice=resume"
    again = await visitor.post("/queues/resume", queue="mail")
    assert again.status_code == 409
    assert "is not paused" in again.text


@pytest.mark.parametrize(
    "fields", [{"queue": ""}, {"queue": "litestar-queues.canary"}, {"queue": "a", "seconds": "-1"}, {"seconds": "soon"}]
)
async def test_wrong_pauses_are_refused(visitor: Visitor, fields: dict[str, str]) -> None:
    answer = await visitor.post("/queues/pause", **fields)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert [one.queue for one in await visitor.backend.paused_queues()] == ["shown"]


async def test_a_schedule_is_paused_resumed_and_run(visitor: Visitor) -> None:
    @task("dashboard.report")
    async def report() -> None: ...

    await visitor.backend.sync_schedules([make_schedule("dashboard.report")._replace(task="dashboard.report")])
    await visitor.post("/schedules/pause", schedule="dashboard.report")
    assert (await visitor.backend.list_schedules())[0].paused
    await visitor.post("/schedules/resume", schedule="dashboard.report")
    assert not (await visitor.backend.list_schedules())[0].paused
    answer = await visitor.post("/schedules/run", schedule="dashboard.report")
    assert answer.status_code == 303
    shown = await visitor.client.get(answer.headers["location"])
    assert "This record was made now" in shown.text
    assert "dashboard.report" in shown.text


@pytest.mark.parametrize("action", ["run", "pause", "resume"])
async def test_an_unknown_schedule_is_not_found(visitor: Visitor, action: str) -> None:
    assert (await visitor.post(f"/schedules/{action}", schedule="nope")).status_code == 404


async def test_a_schedule_whose_task_this_process_does_not_know_is_not_run(visitor: Visitor) -> None:
    await visitor.backend.sync_schedules([make_schedule("elsewhere")._replace(task="elsewhere.task")])
    assert (await visitor.post("/schedules/run", schedule="elsewhere")).status_code == 409


@pytest.mark.parametrize("token", ["", "0" * 64, "é", "x" * 10_000])
async def test_a_wrong_token_changes_nothing(visitor: Visitor, token: str) -> None:
    record = await visitor.end(FAILED)
    await visitor.token()
    answer = await visitor.send("/records/retry", id=record, csrf_token=token)
    assert answer.status_code == 403
    assert "nothing was changed" in answer.text
    assert await visitor.status(record) is TaskStatus.FAILED


async def test_the_token_of_another_browser_changes_nothing(visitor: Visitor) -> None:
    record = await visitor.end(FAILED)
    stolen = await visitor.token()
    visitor.client.cookies.clear()
    assert (await visitor.send("/records/retry", id=record, csrf_token=stolen)).status_code == 403
    await visitor.token()
    assert (await visitor.send("/records/retry", id=record, csrf_token=stolen)).status_code == 403
    assert await visitor.status(record) is TaskStatus.FAILED


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 303)])
async def test_what_the_browser_says_of_the_origin_counts(visitor: Visitor, site: str, status: int) -> None:
    token = await visitor.token()
    answer = await visitor.send("/queues/pause", {"sec-fetch-site": site}, queue="mail", csrf_token=token)
    assert answer.status_code == status


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(visitor: Visitor) -> None:
    cookie = (await visitor.get()).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/queues" in cookie
    assert "set-cookie" not in (await visitor.get()).headers


@pytest.mark.parametrize("notice", ["retry", "nonsense", "<b>", "retry.1.2.3", "pause.1.2", "retry.x.y"])
async def test_a_notice_is_never_the_text_of_others(visitor: Visitor, notice: str) -> None:
    text = (await visitor.get("/records", params={"notice": notice})).text
    assert ('class="notice"' in text) == (notice == "retry")
    assert "<b>" not in text
