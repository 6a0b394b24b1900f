"""In: what cannot be done. Out: an error that becomes a page with a sentence and the right status."""

from __future__ import annotations

__all__ = ("RefusedError",)


class RefusedError(Exception):
    """A request was refused and nothing was changed.

    Args:
        status: Of the answer.
        sentence: What is wrong and what to do.
        record: Id of the record that it is about.
    """

    def __init__(self, status: int, sentence: str, *, record: str | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.record = record
