"""In: pictures over HTTP. Out: thumbnails, which a worker makes while the visitor is already answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

from litestar import Litestar, Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath, JSONBody, MultipartBody
from litestar.response import File
from litestar.status_codes import HTTP_202_ACCEPTED, HTTP_415_UNSUPPORTED_MEDIA_TYPE
from msgspec import Meta

from litestar_queues import QueuePlugin, QueueService, TaskResult
from store import PhotoStore, Size, provide_photo_store
from tasks import make_thumbnails, send_mail

__all__ = ("app", "create_app")

MAX_BYTES: Final = 5_000_000
SIGNATURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
"""How JPEG and PNG files begin."""


@dataclass
class Upload:
    """The form that the visitor sends."""

    picture: UploadFile


@dataclass
class Share:
    """To whom a photo goes."""

    to: Annotated[str, Meta(pattern=r"\A[^@\s]+@[^@\s]+\Z")]


@post("/photos", request_max_body_size=MAX_BYTES, status_code=HTTP_202_ACCEPTED)
async def upload_photo(
    data: MultipartBody[Upload],
    photo_store: NamedDependency[PhotoStore],
    queue_service: NamedDependency[QueueService],
) -> Response[dict[str, Any]]:
    """Keep the picture and answer at once; the thumbnails are made by a task."""
    content = await data.picture.read()
    if not content.startswith(SIGNATURES):
        raise HTTPException("send a JPEG or PNG picture", status_code=HTTP_415_UNSUPPORTED_MEDIA_TYPE)
    photo_id = uuid4()
    await asyncio.to_thread(photo_store.save, photo_store.path(photo_id, "original"), content)
    return _accepted(photo_id, await queue_service.enqueue(make_thumbnails, photo_id))


@post("/photos/{photo_id:uuid}/share", status_code=HTTP_202_ACCEPTED)
async def share_photo(
    photo_id: FromPath[UUID],
    data: JSONBody[Share],
    photo_store: NamedDependency[PhotoStore],
    queue_service: NamedDependency[QueueService],
) -> Response[dict[str, Any]]:
    """Mail a photo; a double click finds the mail of the first click."""
    if not photo_store.path(photo_id, "large").exists():
        raise NotFoundException("there is no such photo, or its thumbnails are not ready yet")
    return _accepted(photo_id, await queue_service.enqueue(send_mail, photo_id, data.to))


@get("/photos/{photo_id:uuid}/{size:str}", sync_to_thread=False)
def show_thumbnail(photo_id: FromPath[UUID], size: FromPath[Size], photo_store: NamedDependency[PhotoStore]) -> File:
    """Serve a thumbnail."""
    thumbnail = photo_store.path(photo_id, size)
    if not thumbnail.exists():
        raise NotFoundException("there is no such photo, or its thumbnails are not ready yet")
    return File(thumbnail, media_type="image/jpeg", content_disposition_type="inline")


@get("/tasks/{task_id:uuid}")
async def show_task(task_id: FromPath[UUID], queue_service: NamedDependency[QueueService]) -> dict[str, Any]:
    """Tell how a task is doing."""
    record = await queue_service.get_task(task_id)
    if record is None:
        raise NotFoundException("there is no such task")
    return {
        "task": record.task_name,
        "status": record.status,
        "attempt": record.attempt,
        "progress": record.progress,
        "result": record.result,
        "error": record.error,
    }


def _accepted(photo_id: UUID, task: TaskResult) -> Response[dict[str, Any]]:
    url = f"/tasks/{task.id}"
    content = {"photo_id": photo_id, "task_id": task.id, "task_url": url}
    return Response(content, status_code=HTTP_202_ACCEPTED, headers={"Location": url})


def create_app() -> Litestar:
    """Build the app; the queue lives in the file `queue.db` unless the environment says otherwise."""
    return Litestar(
        route_handlers=[upload_photo, share_photo, show_thumbnail, show_task],
        dependencies={"photo_store": Provide(provide_photo_store)},
        plugins=[QueuePlugin()],
    )


app = create_app()
