from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from uuid import uuid4

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from PIL import Image

pytestmark = pytest.mark.usefixtures("data")


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[TestClient[Litestar]]:
    monkeypatch.setenv("LITESTAR_QUEUES_EXECUTION_BACKEND", "immediate")
    with TestClient(request.getfixturevalue("app")) as client:
        yield client


def _photo(web: TestClient[Litestar], picture: bytes) -> str:
    return str(web.post("/photos", files={"picture": picture}).json()["photo_id"])


def test_an_upload_is_answered_with_the_task_to_follow(web: TestClient[Litestar], picture: bytes) -> None:
    answer = web.post("/photos", files={"picture": picture})

    assert answer.status_code == 202
    assert answer.headers["location"] == answer.json()["task_url"] == f"/tasks/{answer.json()['task_id']}"
    task = web.get(answer.headers["location"]).json()
    assert task == {
        "task": "make_thumbnails",
        "status": "completed",
        "attempt": 1,
        "progress": {"current": 3, "total": 3, "message": "large is ready"},
        "result": ["small", "medium", "large"],
        "error": None,
    }


@pytest.mark.parametrize(("size", "expected"), [("small", (160, 107)), ("medium", (640, 427)), ("large", (900, 600))])
def test_thumbnails_are_served_in_each_size(
    web: TestClient[Litestar], picture: bytes, size: str, expected: tuple[int, int]
) -> None:
    thumbnail = web.get(f"/photos/{_photo(web, picture)}/{size}")

    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert Image.open(BytesIO(thumbnail.content)).size == expected


def test_what_does_not_begin_like_a_picture_is_refused(web: TestClient[Litestar]) -> None:
    answer = web.post("/photos", files={"picture": b"a text"})

    assert (answer.status_code, answer.json()["detail"]) == (415, "send a JPEG or PNG picture")


def test_a_picture_that_is_too_large_is_refused(web: TestClient[Litestar], picture: bytes) -> None:
    assert web.post("/photos", files={"picture": picture + bytes(5_000_000)}).status_code == 413


@pytest.mark.parametrize("form", [{}, {"document": b"a text"}])
def test_a_form_without_a_picture_is_refused(web: TestClient[Litestar], form: dict[str, bytes]) -> None:
    assert web.post("/photos", files=form).status_code == 400


def test_half_a_picture_is_accepted_and_fails_in_its_task(web: TestClient[Litestar], picture: bytes) -> None:
    answer = web.post("/photos", files={"picture": picture[:1000]})

    task = web.get(answer.json()["task_url"]).json()
    assert (answer.status_code, task["status"], task["attempt"]) == (202, "failed", 1)
    assert task["error"].startswith("NonRetryableError: the picture cannot be read")


def test_unknown_photos_sizes_and_tasks_are_told_apart(web: TestClient[Litestar], picture: bytes) -> None:
    photo = _photo(web, picture)

    assert web.get(f"/photos/{uuid4()}/small").status_code == 404
    assert web.get(f"/photos/{photo}/huge").status_code == 400
    assert web.get(f"/photos/{photo}/original").status_code == 400
    assert web.get(f"/tasks/{uuid4()}").status_code == 404
    assert web.get("/tasks/42").status_code == 404


@pytest.mark.parametrize("to", ["nobody", "", "a@b\r\nBcc: c@d", "a b@c", "a@b\n"])
def test_a_photo_is_shared_with_an_address_alone(web: TestClient[Litestar], picture: bytes, to: str) -> None:
    assert web.post(f"/photos/{_photo(web, picture)}/share", json={"to": to}).status_code == 400


def test_a_photo_that_does_not_exist_cannot_be_shared(web: TestClient[Litestar]) -> None:
    assert web.post(f"/photos/{uuid4()}/share", json={"to": "ada@example.org"}).status_code == 404


def test_no_draft_is_left_behind(web: TestClient[Litestar], picture: bytes, request: pytest.FixtureRequest) -> None:
    _photo(web, picture)

    names = {path.name for path in request.getfixturevalue("data").rglob("*") if path.is_file()}
    assert names == {"original", "small", "medium", "large"}
