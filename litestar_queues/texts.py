"""In: text that anybody may have chosen. Out: text that forges no line, steers no terminal and tells no password."""

from __future__ import annotations

import re

__all__ = ("escaped", "one_line", "without_passwords")

_LONGEST = 4_000
_PASSWORD_OF_URL = re.compile(r"""(://[^/\s:@"'<>\\]*:)[^/\s"'<>\\]*@""")
_PASSWORD_OF_DSN = re.compile(r"""(\bpassword=)[^\s"'&\\]+""", re.IGNORECASE)


def one_line(text: str) -> str:
    """The text as :func:`escaped` gives it, without passwords, and cut where it is very long."""
    return escaped(without_passwords(f"{text[:_LONGEST]} ..." if len(text) > _LONGEST else text))


def escaped(text: str) -> str:
    """The text with all that is not printable written as an escape."""
    if text.isprintable():  # as a rule
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def without_passwords(text: str) -> str:
    """The text with ``***`` for the password of a URL or of ``password=...``: errors of drivers quote addresses."""
    if "://" not in text and "assword=" not in text.lower():  # as a rule
        return text
    return _PASSWORD_OF_DSN.sub(r"\1***", _PASSWORD_OF_URL.sub(r"\1***@", text))
