"""In: text that anybody may have chosen. Out: one line that forges no other line of a log and steers no terminal."""

from __future__ import annotations

__all__ = ("one_line",)

_LONGEST = 4_000


def one_line(text: str) -> str:
    """The text with all that is not printable written as an escape, and cut where it is very long."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} ..."
    if text.isprintable():  # as a rule
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
