"""In: a process that has only begun. Out: from now on signals are heard and wrong settings told."""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType

from litestar_queues.errors import QueueConfigurationError

__all__ = ("open_closed_streams", "take_signals_early", "tell_wrong_settings")

_REMEDY = "is that the app? Name it by --app module:app or LITESTAR_APP"


def open_closed_streams() -> None:
    """Let ``>&-`` mean no output: Python has no stream then, and Litestar trips over that."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None and _words_of_ours():
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - for as long as we live


def take_signals_early() -> None:
    """Litestar loads this package before the app, whose import may take seconds in which signals arrive too."""
    if {"run", "exporter"}.intersection(_words_of_ours()):
        from litestar_queues.signals import SIGNALS

        SIGNALS.install()


def tell_wrong_settings() -> None:
    """Settings are read while the app is imported, where no command can catch their error: tell it in one line."""
    others = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, QueueConfigurationError):
            sys.stderr.write(f"Error: {' '.join(str(error).split())}\n")
        elif _words_of_ours() and isinstance(error, (AttributeError, TypeError, ValueError)) and _in_look_up(trace):
            sys.stderr.write(f"Error: {' '.join(str(error).split())}: {_REMEDY}\n")
        else:
            others(kind, error, trace)

    sys.excepthook = hook


def _words_of_ours() -> list[str]:
    """What was typed behind ``queues``; nothing where another command of Litestar runs."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    return words[words.index("queues") :] if "queues" in words else []


def _in_look_up(trace: TracebackType | None) -> bool:
    """Whether no code of the app was running, but Litestar's search for it."""
    names = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(trace)]
    return [name for name in names if name.partition(".")[0] != "importlib"][-1:] == ["litestar.cli._utils"]
