"""In: a process that has only begun. Out: signals that are heard and wrong settings that are told from now on."""

from __future__ import annotations

import sys
from types import TracebackType

from litestar_queues.errors import QueueConfigurationError

__all__ = ("take_signals_early", "tell_wrong_settings")


def take_signals_early() -> None:
    """Litestar loads this package before the app, whose import may take seconds in which signals arrive too."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if "queues" in words and {"run", "exporter"}.intersection(words[words.index("queues") :]):
        from litestar_queues.signals import SIGNALS

        SIGNALS.install()


def tell_wrong_settings() -> None:
    """Settings are read while the app is imported, where no command can catch their error: tell it in one line."""
    others = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, QueueConfigurationError):
            sys.stderr.write(f"Error: {' '.join(str(error).split())}\n")
        else:
            others(kind, error, trace)

    sys.excepthook = hook
