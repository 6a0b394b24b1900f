"""In: log records of any logger. Out: one JSON object a line, with the task, request and trace that it belongs to."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from logging.handlers import QueueHandler
from typing import Any

import msgspec

from litestar_queues.correlation import get_correlation_id
from litestar_queues.execution.context import get_current_task_context

__all__ = ("JsonLogFormatter", "configure_logging")

_NAMES = {
    "task_id": "task_id",
    "task_name": "task",
    "queue": "queue",
    "attempt": "attempt",
    "worker_id": "worker",
    "correlation_id": "correlation_id",
    "trace_id": "trace_id",
    "span_id": "span_id",
}
"""Attributes of log records, and what they are called in a line."""
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_encode = msgspec.json.Encoder(enc_hook=repr).encode


class JsonLogFormatter(logging.Formatter):
    """Formats a record as one JSON object: ``time``, ``level``, ``logger``, ``message``, and what is known beyond that.

    Lines from inside a task name it: ``task_id``, ``task``, ``queue``, ``attempt``, ``worker``. ``correlation_id``,
    ``trace_id`` and ``span_id`` are there where there are any, ``exception`` and ``stack`` hold the traceback, and what
    was given as ``extra`` stands under its own names.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        stamp(record)
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: vars(record)[attribute] for attribute, name in _NAMES.items() if attribute in vars(record)}
        line |= {key: value for key, value in vars(record).items() if key not in _USUAL and key not in _NAMES}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        return _to_json(line)


def stamp(record: logging.LogRecord) -> None:
    """Set on the record what this context knows."""
    fields = vars(record)
    context = get_current_task_context()
    if context is not None and "task_id" not in fields:
        fields |= {
            "task_id": str(context.task_id),
            "task_name": context.task_name,
            "queue": context.queue,
            "attempt": context.attempt,
            "worker_id": context.worker_id,
        }
    correlation_id = get_correlation_id()
    if correlation_id is not None:
        fields.setdefault("correlation_id", correlation_id)
    trace = sys.modules.get("opentelemetry.trace")  # whoever made a span has loaded it
    if trace is not None and "trace_id" not in fields:
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            fields |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}


def configure_logging(form: str) -> None:
    """Let the log of this process be seen, in the form that was asked for.

    Where the app has set up logging of its own, text leaves it as it is; JSON changes how handlers write that write to
    a stream, and nothing else: levels, loggers and other handlers stay.
    """
    is_set_up = logging.getLogger().handlers or logging.getLogger("litestar_queues").handlers
    if not is_set_up:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    if form == "json":
        for handler in _handlers():
            if isinstance(handler, QueueHandler):
                handler.addFilter(_hand_over)
                handler.setFormatter(_Bare())
            elif isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                handler.setFormatter(JsonLogFormatter())


class _Bare(logging.Formatter):
    """Formats nothing but the message: whoever takes it from the queue does the rest."""

    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage()


def _hand_over(record: logging.LogRecord) -> bool:
    """Keep what a queue's handler would drop, and what its other thread could not know."""
    stamp(record)
    if record.exc_info:
        vars(record)["exception"] = logging.Formatter().formatException(record.exc_info)
    return True


def _handlers() -> Iterator[logging.Handler]:
    """Every handler of every logger, and those behind queues."""
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    for logger in loggers:
        for handler in logger.handlers:
            yield handler
            yield from getattr(getattr(handler, "listener", None), "handlers", ())


def _to_json(line: dict[str, Any]) -> str:
    try:
        return _encode(line).decode()
    except Exception:  # keys that are no text, circles, lone surrogates: a log line is never lost for its extras
        return json.dumps({key: value if isinstance(value, int) else repr(value) for key, value in line.items()})
