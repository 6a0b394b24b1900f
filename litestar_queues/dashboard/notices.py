"""In: what was done, as an address carries it past a redirect. Out: the sentence that says so; never text of others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ("notice", "notice_of")

_NOTICE = re.compile(r"([a-z-]{1,20})(?:\.(\d{1,5})\.(\d{1,5}))?")
_SENTENCES: Final = {
    "retry": "The record is pending again.",
    "cancel": "The record is cancelled.",
    "stop": "The worker that runs the record was asked to stop it.",
    "run": "This record was made now; the schedule's next due time stays as it is.",
    "pause": "The queue is paused: no worker takes its records.",
    "resume": "The queue is open again.",
    "pause-schedule": "The schedule is paused: it does not fire.",
    "resume-schedule": "The schedule fires again.",
}
_MANY: Final = {
    "retry": "{done} of {asked} records are pending again.",
    "cancel": "{done} of {asked} records are cancelled, or their workers were asked to stop them.",
}


def notice(what: str, done: int | None = None, asked: int | None = None) -> str:
    """What an address carries."""
    return what if done is None else f"{what}.{done}.{asked}"


def notice_of(query: Mapping[str, str]) -> str | None:
    """The sentence, where the address carries one."""
    found = _NOTICE.fullmatch(query.get("notice", ""))
    if found is None:
        return None
    what, done, asked = found.groups()
    if done is None:
        return _SENTENCES.get(what)
    return _MANY[what].format(done=done, asked=asked) if what in _MANY else None
