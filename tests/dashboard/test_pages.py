"""What the pages show of a store."""

from __future__ import annotations

import json

import pytest

from litestar_queues.errors import BackendUnavailableError
from litestar_queues.outcomes import Completed, Failed, RunError
from tests.builders import make_report, make_schedule
from tests.dashboard.conftest import Visitor
from tests.dashboard.town import ShiftedClock, furnish

HOSTILE = "<script>alert(1)</script>\"'&\x1b[2J\u202egnp"


async def test_the_overview_shows_a_fleet_at_work(visitor: Visitor, shifted: ShiftedClock) -> None:
    await furnish(visitor.backend, shifted, minutes=12)
    text = (await visitor.get()).text
    for found in ("3 workers", "1 of them draining", "6 of 30 slots busy", "canary", "mail", "reports", "paused"):
        assert found in text
    assert text.count("<svg") == 3
    assert text.count('class="failed" x=') == 1
    assert "ConnectionRefusedError: the mail server answered 451" in text
    assert '<path class="p95"' in text


@pytest.mark.parametrize("path", ["", "/records", "/workers", "/schedules"])
async def test_an_empty_store_is_a_page_without_a_stumble(visitor: Visitor, path: str) -> None:
    answer = await visitor.get(path)
    assert answer.status_code == 200
    assert 'class="none"' in answer.text or "Nothing ended" in answer.text


async def test_one_queue_has_its_own_pictures(visitor: Visitor, shifted: ShiftedClock) -> None:
    await furnish(visitor.backend, shifted, minutes=12)
    text = (await visitor.get("?queue=mail&hours=6")).text
    assert "<h1>Queue mail</h1>" in text
    assert ">thumbnails<" not in text
    assert "<h1>Queue nowhere</h1>" in (await visitor.get("?queue=nowhere")).text
    assert (await visitor.get("?hours=7")).status_code == 400


async def test_nothing_on_a_page_needs_more_than_the_policy_allows(visitor: Visitor, shifted: ShiftedClock) -> None:
    await furnish(visitor.backend, shifted, minutes=12)
    failed = await visitor.end(Failed(RunError("E", "no")))
    for path in ("", "/records", f"/records/{failed}", "/workers", "/schedules"):
        answer = await visitor.get(path)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'; ")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        for unwanted in ("style=", "<style", "onclick", "javascript:", "//cdn", "<script>"):
            assert unwanted not in answer.text


async def test_the_list_pages_through_all_records_both_ways(visitor: Visitor) -> None:
    ids = [await visitor.enqueue() for _ in range(120)]
    seen: list[str] = []
    path = "/records"
    for _ in range(3):
        text = (await visitor.get(path)).text
        seen += [part.partition("<")[0] for part in text.split("</a><code>")[1:]]
        path = f"/records?before={seen[-1]}"
    assert seen == [str(one) for one in reversed(ids)]
    assert 'rel="next"' not in text
    back = (await visitor.get(f"/records?after={seen[100]}")).text
    assert [part.partition("<")[0] for part in back.split("</a><code>")[1:]] == seen[50:100]
    assert 'rel="prev"' in back
    newest = (await visitor.get(f"/records?after={seen[50]}")).text
    assert 'rel="prev"' not in newest


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=failed", {"b"}),
        ("status=pending", {"a", "c"}),
        ("queue=mail", {"c"}),
        ("task=task.b", {"b"}),
        ("key=k%2F1", {"a"}),
        ("worker=worker%3A1", {"b"}),
        ("status=&queue=+&task=", {"a", "b", "c"}),
        ("since=2000-01-01T00:00", {"a", "b", "c"}),
        ("until=2000-01-01T00:00%2B02:00", set()),
    ],
)
async def test_filters_find(visitor: Visitor, query: str, found: set[str]) -> None:
    await visitor.end(Failed(RunError("E", "no")), task="task.b")
    await visitor.enqueue(task="task.a", key="k/1")
    await visitor.enqueue(task="task.c", queue="mail")
    text = (await visitor.get(f"/records?{query}")).text
    assert {name for name in ("a", "b", "c") if f">task.{name}</a>" in text} == found


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("status=done", "status=&#39;done&#39; is no state"),
        ("since=yesterday", "since=&#39;yesterday&#39; is no time"),
        ("until=9999-12-31T23:59-14:00", "is no time"),
        ("before=7", "before=&#39;7&#39; is no record id"),
        ("colour=red", "There is no filter &#39;colour&#39;"),
        ("key=" + "x" * 501, "at most 500 characters"),
        ("queue=%00", "queue is a text"),
    ],
)
async def test_wrong_filters_are_a_sentence_on_the_page(visitor: Visitor, query: str, sentence: str) -> None:
    answer = await visitor.get(f"/records?{query}")
    assert answer.status_code == 400
    assert sentence in answer.text
    assert '<form class="filters"' in answer.text


async def test_a_record_tells_all(visitor: Visitor) -> None:
    error = RunError("ValueError", "no luck", "Traceback: line one\n  line two")
    payload = json.dumps([[1], {"to": "ada"}]).encode()
    failed = await visitor.end(Failed(error), key="order-7", payload=payload, metadata=b'{"by": "web"}', timeout=90.0)
    text = (await visitor.get(f"/records/{failed}")).text
    for found in ("ValueError: no luck", "line one\n  line two", "order-7", "worker:1", "1.5 min", "1 of 1", "Retry"):
        assert found in text
    for found in ("&#34;to&#34;: &#34;ada&#34;", "&#34;by&#34;: &#34;web&#34;"):
        assert found in text
    done = await visitor.end(Completed(b'{"rows": 3}'))
    text = (await visitor.get(f"/records/{done}")).text
    assert "&#34;rows&#34;: 3" in text
    assert "data-each" not in text
    assert "/records/retry" not in text
    assert "/records/cancel" not in text


async def test_a_large_payload_is_shown_in_part(visitor: Visitor) -> None:
    record = await visitor.enqueue(payload=json.dumps([["x" * 900_000], {}]).encode())
    text = (await visitor.get(f"/records/{record}")).text
    assert len(text) < 60_000
    assert "characters more" in text


async def test_search_goes_to_the_record_or_to_those_of_a_key(visitor: Visitor) -> None:
    record = await visitor.enqueue()
    by_id = await visitor.get("/search", params={"q": f" {record} "})
    assert (by_id.status_code, by_id.headers["location"]) == (303, f"/queues/records/{record}")
    by_key = await visitor.get("/search", params={"q": "order/7&x"})
    assert by_key.headers["location"] == "/queues/records?key=order%2F7%26x"


@pytest.mark.parametrize("record", ["01a217f7-7937-7e00-9fd4-4e734085d019", "7", "%3Cb%3E"])
async def test_unknown_ids_are_not_found(visitor: Visitor, record: str) -> None:
    answer = await visitor.get(f"/records/{record}")
    assert answer.status_code == 404


async def test_workers_tell_what_they_run(visitor: Visitor) -> None:
    record = await visitor.enqueue(task="task.now")
    await visitor.claim()
    report = make_report(worker_id="worker:1", host="node-7", queues=("mail", "default"), running=1)
    await visitor.backend.report_worker(report, lease=60.0)
    text = (await visitor.get("/workers")).text
    for found in ("node-7", "mail, default", "1 of 8", "working", f'/queues/records/{record}">task.now</a>'):
        assert found in text


async def test_schedules_tell_when_they_are_due_and_how_the_last_run_went(
    visitor: Visitor, shifted: ShiftedClock
) -> None:
    await furnish(visitor.backend, shifted, minutes=1 + 23)
    text = (await visitor.get("/schedules")).text
    for found in ("reports.nightly", "<code>0 3 * * * Europe/Berlin<", "every 15 min", "in ", "completed", "Run now"):
        assert found in text


async def test_a_store_that_is_away_is_one_sentence(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away() -> None:
        raise BackendUnavailableError("no route <there>")

    monkeypatch.setattr(visitor.backend, "queue_depths", away)
    answer = await visitor.get()
    assert answer.status_code == 503
    assert "The queue is not available: no route &lt;there&gt;" in answer.text


async def test_hostile_text_stays_text_everywhere(visitor: Visitor) -> None:
    odd = "<b>\"'>&{{ 77777 * 77777 }}"
    payload = json.dumps([[HOSTILE], {HOSTILE: HOSTILE}]).encode()
    error = RunError(HOSTILE, HOSTILE, HOSTILE)
    failed = await visitor.end(Failed(error), task=odd, queue=odd, key=odd, payload=payload)
    await visitor.enqueue(task=odd, queue=odd)
    await visitor.claim(odd)
    await visitor.backend.sync_schedules([make_schedule(odd)])
    await visitor.backend.report_worker(make_report(worker_id="worker:1", host=odd, queues=(odd,)), lease=60.0)
    for path in ("", "/records", f"/records/{failed}", "/workers", "/schedules", f"/records?queue={odd}", "?queue=<b>"):
        text = (await visitor.get(path)).text
        for unwanted in ("<b>", "<script>alert", "\x1b", "\u202e", str(77777**2)):
            assert unwanted not in text, (path, unwanted)
    text = (await visitor.get(f"/records/{failed}")).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;\\u001b[2J\\u202egnp" in text


async def test_ages_are_told_in_the_unit_that_fits() -> None:
    from litestar_queues.dashboard.render import age, number

    spans = (None, 0.0, 0.0004, 0.0312, 0.9996, 1.25, 5.0, 42.4, 90.0, 5_400.0, 129_600.0)
    expected = ["none", "0 s", "under 1 ms", "31 ms", "1 s", "1.2 s", "5 s", "42 s", "1.5 min", "1.5 h", "1.5 d"]
    assert [age(span) for span in spans] == expected
    assert [number(value) for value in (0, 0.25, 7.0, 1234567)] == ["0", "0.2", "7", "1\u202f234\u202f567"]
