"""In: text that anybody may have chosen. Out: one line that forges no other line of a log and steers no terminal."""

from __future__ import annotations

__all__ = ("escaped", "one_line")

_LONGEST = 4_000


def one_line(text: str) -> str:
    """The text as :func:`escaped` gives it, and cut where it is very long."""
    return escaped(f"{text[:_LONGEST]} ..." if len(text) > _LONGEST else text)


def escaped(text: str) -> str:
    """The text with all that is not printable written as an escape."""
    if text.isprintable():  # as a rule
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
