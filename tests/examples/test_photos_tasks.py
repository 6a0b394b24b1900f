from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import pytest
from litestar import Litestar

from litestar_queues import QueueService, TaskStatus, get_task_registry
from litestar_queues.testing import drain

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch, app: Litestar) -> AsyncIterator[QueueService]:
    """The app's own service, with the app's dependencies, and no worker but the test."""
    async with app.lifespan():
        service = app.state.queue_service
        assert isinstance(service, QueueService)
        yield service


@pytest.fixture(autouse=True)
def without_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITESTAR_QUEUES_IN_APP_WORKER", "false")


@pytest.fixture
def tasks(modules: dict[str, ModuleType]) -> ModuleType:
    return modules["tasks"]


@pytest.fixture
def sink(modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with modules["mail_sink"].MailSink() as sink:
        Thread(target=sink.serve_forever, daemon=True).start()
        monkeypatch.setenv("PHOTOS_SMTP_PORT", str(sink.port))
        yield sink
        sink.shutdown()


@pytest.fixture
def photo(data: Path, picture: bytes) -> UUID:
    photo_id = uuid4()
    place = data / "photos" / str(photo_id) / "original"
    place.parent.mkdir(parents=True)
    place.write_bytes(picture)
    return photo_id


async def test_thumbnails_get_their_store_by_name(
    service: QueueService, tasks: ModuleType, data: Path, photo: UUID
) -> None:
    made = await service.enqueue(tasks.make_thumbnails, photo)

    await drain(service)

    assert (await made.refresh()).result == ["small", "medium", "large"]
    assert {path.name for path in (data / "photos" / str(photo)).iterdir()} == {"original", "small", "medium", "large"}


async def test_a_draft_that_was_not_finished_is_removed(
    service: QueueService, tasks: ModuleType, data: Path, photo: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("PIL.Image.Image.save", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
    made = await service.enqueue(tasks.make_thumbnails.using(retries=0), photo)

    await drain(service)

    assert (await made.refresh()).error == "OSError: no space left"
    assert [path.name for path in (data / "photos" / str(photo)).iterdir()] == ["original"]


async def test_two_clicks_send_one_mail(service: QueueService, tasks: ModuleType, sink: Any, photo: UUID) -> None:
    sink.refusals = 1
    first = await service.enqueue(tasks.send_mail, photo, "ada@example.org")
    second = await service.enqueue(tasks.send_mail, photo, to="ada@example.org")
    await drain(service)
    third = await service.enqueue(tasks.send_mail, photo, "ada@example.org")
    other = await service.enqueue(tasks.send_mail, photo, "bob@example.org")
    await drain(service)

    assert first.id == second.id == third.id != other.id
    assert [mail.splitlines()[1] for mail in sink.mails] == ["To: ada@example.org", "To: bob@example.org"]


async def test_a_busy_mail_server_is_asked_again_later(
    service: QueueService, tasks: ModuleType, sink: Any, photo: UUID
) -> None:
    mail = await service.enqueue(tasks.send_mail, photo, "ada@example.org")

    await drain(service)

    record = (await mail.refresh()).record
    assert record is not None
    assert (record.status, record.attempt, record.max_attempts) == (TaskStatus.SCHEDULED, 1, 5)
    assert "come again" in str(record.error)


async def test_a_final_refusal_is_not_repeated(
    service: QueueService, tasks: ModuleType, sink: Any, photo: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "refusal", "550 no such box")
    mail = await service.enqueue(tasks.send_mail, photo, "ada@example.org")

    await drain(service)

    assert (await mail.refresh()).status is TaskStatus.FAILED
    assert mail.error == "NonRetryableError: no such box"


async def test_the_report_counts_photos_and_tasks(
    service: QueueService, tasks: ModuleType, data: Path, photo: UUID
) -> None:
    await service.enqueue(tasks.make_thumbnails, photo)
    await drain(service)
    report = await service.enqueue(tasks.nightly_report)
    await drain(service)

    text = (data / "reports" / str((await report.refresh()).result)).read_text()
    assert text.partition(": ")[2] == "1 photos, 1 tasks completed, 0 failed\n"


@pytest.mark.usefixtures("modules")
def test_the_schedules_are_the_nightly_report_and_the_canary() -> None:
    schedules = get_task_registry().scheduled()

    assert {name: (schedule.cron, schedule.timezone, schedule.interval) for name, schedule in schedules.items()} == {
        "nightly_report": ("0 3 * * *", "Europe/Berlin", None),
        "scheduler.heartbeat": (None, "UTC", 60),
    }
