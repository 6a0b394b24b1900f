"""In: the query of an address. Out: which records to show, and in which words it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from litestar_queues.dashboard.refusals import RefusedError
from litestar_queues.records import RecordFilter
from litestar_queues.status import TaskStatus

__all__ = ("HOURS", "PAGE", "Asked", "read_filter", "read_hours")

PAGE: Final = 50
"""Records on a page."""
HOURS: Final = (1, 6, 24)
"""Spans of the pictures; workers' tallies are kept for a day."""
_TEXTS = ("queue", "task", "key", "schedule", "worker")
_TIMES = ("since", "until")
_PAGING = ("before", "after")
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page of records was asked for."""

    which: RecordFilter
    words: Mapping[str, str] = field(default_factory=dict)
    """The filters as they were written, without the paging."""


def read_filter(query: Mapping[str, str]) -> Asked:
    """Read the filters of the list; empty ones are none.

    Raises:
        RefusedError: One of them cannot be meant; the sentence says which and what it accepts.
    """
    given = {name: text.strip() for name, text in query.items() if text.strip()}
    if unknown := sorted(set(given) - {"status", *_TEXTS, *_TIMES, *_PAGING}):
        names = ", ".join(("status", *_TEXTS, *_TIMES))
        raise RefusedError(400, f"There is no filter {unknown[0]!r}. There are {names}.")
    for name in _TEXTS:
        _check_text(name, given.get(name, ""))
    after = _id("after", given)
    which = RecordFilter(
        status=_status(given),
        queue=given.get("queue"),
        task=given.get("task"),
        key=given.get("key"),
        schedule=given.get("schedule"),
        worker_id=given.get("worker"),
        created_after=_time("since", given),
        created_before=_time("until", given),
        before=_id("before", given),
        after=after,
        oldest_first=after is not None,
        limit=PAGE,
    )
    return Asked(which, {name: text for name, text in given.items() if name not in _PAGING})


def read_hours(text: str) -> int:
    """Read the span of the pictures.

    Raises:
        RefusedError: It is none of :data:`HOURS`.
    """
    if text not in map(str, HOURS):
        spans = ", ".join(map(str, HOURS))
        raise RefusedError(400, f"There are pictures of the last {spans} hours, and none of {text!r}.")
    return int(text)


def _status(given: Mapping[str, str]) -> TaskStatus | None:
    if "status" not in given:
        return None
    try:
        return TaskStatus(given["status"])
    except ValueError:
        raise RefusedError(
            400, f"status={given['status']!r} is no state. Use one of {', '.join(TaskStatus)}."
        ) from None


def _check_text(name: str, text: str) -> None:
    if len(text) > _LONGEST or "\0" in text:
        raise RefusedError(400, f"{name} is a text of at most {_LONGEST} characters.")


def _time(name: str, given: Mapping[str, str]) -> datetime | None:
    if name not in given:
        return None
    try:
        moment = datetime.fromisoformat(given[name])
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise RefusedError(
            400, f"{name}={given[name]!r} is no time. Use one such as 2026-01-31T18:30, which is read as UTC."
        ) from None


def _id(name: str, given: Mapping[str, str]) -> UUID | None:
    if name not in given:
        return None
    try:
        return UUID(given[name])
    except ValueError:
        raise RefusedError(400, f"{name}={given[name]!r} is no record id.") from None
