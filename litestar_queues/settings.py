"""In: one raw value of a setting. Out: the value in its type, or an error that names the setting and the remedy."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from litestar_queues.errors import QueueConfigurationError

__all__ = ("SETTINGS", "Setting", "from_environment", "import_attribute", "like_a_setting")

_ALIKE = 0.75
"""So that variables by which Kubernetes tells of a Service with such a name are not taken for misspelled ones."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How one field is read and what it accepts."""

    accepts: str
    """For the error message: ``a number of seconds, at least 0``."""
    parse: Callable[[str], Any]
    """Text of the environment to value; may raise ``ValueError``."""
    valid: Callable[[Any], bool]
    optional: bool = False

    def check(self, value: Any, where: str) -> Any:
        """Return the value (lists as tuples, whole seconds as floats), or refuse it."""
        if value is None and self.optional:
            return None
        if isinstance(value, list):
            value = tuple(value)
        if self.valid is _seconds_from_zero or self.valid is _seconds_above_zero:
            value = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not self.valid(value):
            raise QueueConfigurationError(self.refusal(value, where))
        return value

    def refusal(self, value: Any, where: str) -> str:
        """The one sentence for a wrong value."""
        return f"{where}={value!r} is not accepted: use {self.accepts}{' or None' if self.optional else ''}"


def from_environment(setting: Setting, raw: str, where: str) -> Any:
    """Read a setting from the text of its environment variable."""
    text = raw.strip()
    if setting.optional and text.lower() in {"", "none"}:
        return None
    try:
        return setting.parse(text)
    except ValueError as error:
        raise QueueConfigurationError(setting.refusal(raw, where)) from error


def like_a_setting(name: str) -> str | None:
    """The setting that was meant by a name that is none and looks like one."""
    if name in SETTINGS:
        return None
    from difflib import get_close_matches

    close = get_close_matches(name, SETTINGS, n=1, cutoff=_ALIKE)
    return close[0] if close else None


def import_attribute(path: str) -> Any:
    """Import ``module:attribute``.

    Raises:
        ValueError: The text has another form, or names nothing that can be imported.
    """
    module, colon, attribute = path.partition(":")
    if not colon or not attribute or not module or module.startswith("."):
        msg = f"{path!r} is not of the form module:attribute"
        raise ValueError(msg)
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        msg = f"{path!r} cannot be imported: {error}"
        raise ValueError(msg) from error


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def _seconds_from_zero(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _seconds_above_zero(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable()


def _is_identifier(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier()


def _is_texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(_is_text(item) for item in value)


def _whole(least: int, most: int | None = None) -> Callable[[Any], bool]:
    def valid(value: Any) -> bool:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and value >= least and (most is None or value <= most)

    return valid


def _parse_flag(text: str) -> bool:
    match text.lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
        case _:
            raise ValueError(text)


def _parse_texts(text: str) -> tuple[str, ...]:
    return tuple(part for item in text.split(",") if (part := item.strip()))


def _is_header(value: Any) -> bool:
    return (
        isinstance(value, str) and bool(value) and value.isascii() and value.replace("-", "").replace("_", "").isalnum()
    )


def _parse_tracing(text: str) -> Any:
    return import_attribute(text) if ":" in text else _parse_flag(text)


def _is_tracing(value: Any) -> bool:
    return isinstance(value, bool) or hasattr(value, "get_tracer")


def _flag(*, optional: bool = False) -> Setting:
    return Setting("true or false", _parse_flag, lambda value: isinstance(value, bool), optional)


def _text(*, optional: bool = False) -> Setting:
    return Setting("a printable text", str, _is_text, optional)


def _texts(what: str) -> Setting:
    return Setting(f"a list of {what} (in the environment separated by commas)", _parse_texts, _is_texts)


def _seconds(*, zero: bool = False, optional: bool = False) -> Setting:
    if zero:
        return Setting("a number of seconds, 0 or more", float, _seconds_from_zero, optional)
    return Setting("a number of seconds above 0", float, _seconds_above_zero, optional)


def _count(least: int, most: int | None = None, *, optional: bool = False) -> Setting:
    accepts = f"a whole number from {least}" + (f" to {most}" if most is not None else "")
    return Setting(accepts, int, _whole(least, most), optional)


def _choice(*names: str) -> Setting:
    return Setting(" or ".join(map(repr, names)), str, lambda value: value in names)


def _anything(_: Any) -> bool:
    return True


_MEBIBYTE = 1_048_576
_HIGHEST_PORT = 65_535

SETTINGS: Final[dict[str, Setting]] = {
    # what a backend accepts is checked where backends are made, and there alone
    "queue_backend": Setting("the name or URL of a backend", str, _anything, optional=True),
    "sqlite_synchronous": _choice("FULL", "NORMAL"),
    "postgres_prefix": _text(),
    "postgres_notifications": _flag(),
    "postgres_pooler": _flag(),
    "migrate_on_start": _flag(),
    "execution_backend": _choice("local", "immediate"),
    "max_payload_bytes": _count(1, 64 * _MEBIBYTE),
    "task_modules": _texts("module names"),
    "task_dependency_resolver": Setting(
        "a function (in the environment module:attribute)", import_attribute, callable, optional=True
    ),
    "initialize_schedules": _flag(),
    "scheduler_canary_task": _text(),
    "in_app_worker": _flag(optional=True),
    "queue_service_dependency_key": Setting("an identifier", str, _is_identifier),
    "queue_service_state_key": Setting("an identifier", str, _is_identifier),
    "worker_name": _text(optional=True),
    "worker_queues": _texts("queue names"),
    "worker_max_concurrency": _count(1, 100_000),
    "worker_poll_interval": _seconds(optional=True),
    "worker_heartbeat_interval": _seconds(),
    "worker_stale_after": _seconds(),
    "worker_max_lost_leases": _count(1),
    "worker_graceful_shutdown_timeout": _seconds(zero=True),
    "worker_final_cancel_timeout": _seconds(zero=True),
    "worker_enters_lifespan": _flag(),
    "worker_unknown_task_delay": _seconds(),
    "worker_loop_lag_warning": _seconds(),
    "startup_timeout": _seconds(zero=True),
    "sync_executor_max_workers": _count(1, 10_000, optional=True),
    "sync_executor_thread_name_prefix": _text(),
    "completed_retention": _seconds(zero=True, optional=True),
    "failed_retention": _seconds(zero=True, optional=True),
    "cancelled_retention": _seconds(zero=True, optional=True),
    "health_host": _text(),
    "health_port": _count(0, _HIGHEST_PORT, optional=True),
    "health_file": _text(optional=True),
    "event_config": Setting(
        "a QueueEventConfig (in the environment module:attribute)",
        import_attribute,
        lambda value: hasattr(value, "sink"),
    ),
    "correlation_header": Setting("the name of a header", str, _is_header, optional=True),
    "tracing": Setting(
        "true, false or a TracerProvider (in the environment module:attribute)", _parse_tracing, _is_tracing
    ),
    "log_format": _choice("text", "json"),
    "dashboard": Setting(
        "a DashboardConfig (in the environment module:attribute)",
        import_attribute,
        lambda value: hasattr(value, "guards"),
        optional=True,
    ),
}
"""One entry per field of :class:`~litestar_queues.config.QueueConfig`, in its order."""
