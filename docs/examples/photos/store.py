"""In: pictures. Out: a folder for each photo, with the original and its thumbnails."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Final, Literal
from uuid import UUID

__all__ = ("SIZES", "PhotoStore", "Size", "provide_photo_store")

Size = Literal["small", "medium", "large"]
SIZES: Final[dict[Size, int]] = {"small": 160, "medium": 640, "large": 1280}
"""The longest side of each thumbnail in pixels."""


class PhotoStore:
    """Photos on disk; a file is seen whole or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._drafts: list[Path] = []

    def path(self, photo_id: UUID, name: Size | Literal["original"]) -> Path:
        """Tell where a file of a photo is, or will be."""
        return self.root / "photos" / str(photo_id) / name

    @contextmanager
    def writing(self, place: Path) -> Iterator[IO[bytes]]:
        """Open a draft for writing; it takes its place when the block ends well."""
        place.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=place.parent, suffix=".draft", delete=False) as draft:
            self._drafts.append(Path(draft.name))
            yield draft.file
        Path(draft.name).replace(place)

    def save(self, place: Path, content: bytes) -> None:
        """Write a whole file."""
        with self.writing(place) as draft:
            draft.write(content)

    def count(self) -> int:
        """Count the photos."""
        return sum(1 for _ in self.root.glob("photos/*/original"))

    def close(self) -> None:
        """Remove the drafts that were never finished."""
        for draft in self._drafts:
            draft.unlink(missing_ok=True)


async def provide_photo_store() -> AsyncIterator[PhotoStore]:
    """Give one request, or one attempt of a task, its photo store, and close it afterwards."""
    store = PhotoStore(Path(os.environ.get("PHOTOS_DATA", Path(__file__).with_name("data"))))
    try:
        yield store
    finally:
        store.close()
