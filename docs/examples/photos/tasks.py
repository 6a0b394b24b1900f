"""In: calls that the web app enqueued, and the clock. Out: thumbnails, mail, a report each night."""

from __future__ import annotations

import asyncio
import os
import smtplib
from datetime import datetime
from email.message import EmailMessage
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar_queues import NonRetryableError, QueueService, RetryBackoff, publish_task_progress, task
from store import SIZES, PhotoStore

__all__ = ("heartbeat", "make_thumbnails", "nightly_report", "send_mail")


@task(retries=2, timeout=60)
def make_thumbnails(photo_id: UUID, photo_store: PhotoStore) -> list[str]:
    """Make the thumbnails of a photo; a plain function, so it runs in a thread."""
    from PIL import Image  # here, so that only a worker that makes thumbnails pays for it

    try:
        with Image.open(photo_store.path(photo_id, "original")) as file:
            original = file.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        message = f"the picture cannot be read: {error}"
        raise NonRetryableError(message) from error
    for done, (size, pixels) in enumerate(SIZES.items(), start=1):
        thumbnail = original.copy()
        thumbnail.thumbnail((pixels, pixels), Image.Resampling.LANCZOS)
        with photo_store.writing(photo_store.path(photo_id, size)) as draft:
            thumbnail.save(draft, "JPEG")
        publish_task_progress(done, len(SIZES), f"{size} is ready")
    return list(SIZES)


@task(
    queue="mail",
    retries=4,
    retry_backoff=RetryBackoff(initial=1.0, multiplier=4.0),
    timeout=30,
    unique_by="arguments",
    unique_for=300,
)
async def send_mail(photo_id: UUID, to: str) -> None:
    """Mail a photo; the same photo goes to the same address at most once in five minutes."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "desk@photos.example", to, "A photo for you"
    mail.set_content(f"Somebody shares a photo with you: http://photos.example/photos/{photo_id}/large\n")
    try:
        await asyncio.to_thread(_send, mail)
    except smtplib.SMTPRecipientsRefused as error:
        [(code, answer)] = error.recipients.values()
        if code >= 500:  # noqa: PLR2004 - from 500 on a refusal is final, below it the server asks us to come again
            raise NonRetryableError(answer.decode()) from error
        raise


def _send(mail: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", int(os.environ.get("PHOTOS_SMTP_PORT", "1025")), timeout=20) as server:
        server.send_message(mail)


@task(cron="0 3 * * *", timezone="Europe/Berlin")
async def nightly_report(photo_store: PhotoStore, queue_service: QueueService) -> str:
    """Write down how the day went; writing it twice does no harm, since a task may run more than once."""
    counts = await queue_service.get_statistics()
    day = datetime.now(ZoneInfo("Europe/Berlin")).date()
    text = f"{day}: {photo_store.count()} photos, {counts.completed} tasks completed, {counts.failed} failed\n"
    report = photo_store.root / "reports" / f"{day}.txt"
    await asyncio.to_thread(photo_store.save, report, text.encode())
    return report.name


@task("scheduler.heartbeat", interval=60)
async def heartbeat() -> None:
    """Do nothing, on time: by this task `litestar queues scheduler-health` sees that the fleet is alive."""
