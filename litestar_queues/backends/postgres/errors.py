"""In: what a driver raised. Out: our own errors, with the server's name and what to do."""

from __future__ import annotations

from litestar_queues.errors import (
    BackendError,
    BackendUnavailableError,
    InvalidArgumentError,
    QueueConfigurationError,
    QueueError,
    SchemaVersionError,
)

__all__ = ("is_broken", "is_transient", "translate")

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_TRY_AGAIN = {
    "08": "the connection broke",
    "25006": "it is read-only: a standby, or a server that is being failed over",
    "40": "another transaction was in the way",
    "53": "it has no room left: disk, memory or connections",
    "54": "a limit of it was passed",
    "55P03": "a lock was not to be had in time",
    "57": "it stopped the statement, or it is starting or stopping",
    "58": "it met an error of its system",
    "28": "check user, password and pg_hba.conf",
    "3D": "check the name of the database",
    "XX": "it met an error of its own",
}
_SCHEMA = {"42P01", "42703", "3F000", "42883"}
_FORBIDDEN = "42501"
_BAD_VALUE = "22"
_BREAKS = ("08", "25006", "57P", "58", "XX")


def translate(error: Exception, where: str) -> Exception:
    """Give our error for a driver's; any other exception comes back as it is.

    Args:
        error: What was raised.
        where: The server and database as messages call them.
    """
    if isinstance(error, QueueError):
        return error
    state = getattr(error, "sqlstate", None)
    if state is None:
        return _without_state(error, where)
    text = str(error).strip().splitlines()[0]
    return _by_state(state, text, where)


def _by_state(state: str, text: str, where: str) -> QueueError:
    if state in _SCHEMA:
        return SchemaVersionError(f"{where} lacks the queue's tables ({text}): run `litestar queues migrate`")
    if state == _FORBIDDEN:
        return QueueConfigurationError(f"{where} refuses this user ({text}): grant it the rights that the docs list")
    for start, remedy in _TRY_AGAIN.items():
        if state.startswith(start):
            return BackendUnavailableError(f"{where} cannot be used now ({text}): {remedy}")
    if state.startswith(_BAD_VALUE):
        return InvalidArgumentError(f"a value cannot be stored: {text}")
    return BackendError(f"{where}: {text}")


def _without_state(error: Exception, where: str) -> Exception:
    """Errors of the way to the server have no SQLSTATE; errors in arguments come from the driver's encoders."""
    if _is_of_driver(error, "DataError") or isinstance(error, (UnicodeError, OverflowError)):
        return InvalidArgumentError(f"a value cannot be stored: {error}")
    if _is_of_driver(error, "InternalClientError"):  # asyncpg, between the server's good-bye and the end of the line
        return BackendUnavailableError(f"{where} cannot be reached: the connection broke")
    if isinstance(error, (OSError, TimeoutError)) or _is_of_driver(error, "InterfaceError", "OperationalError"):
        text = " ".join(str(error).split()) or "it does not answer in time"
        if isinstance(error, FileNotFoundError):  # of a certificate, Python says only that it is not there
            text += "; check the files of host, sslrootcert, sslcert and sslkey"
        return BackendUnavailableError(f"{where} cannot be reached: {text}")
    return error


def _is_of_driver(error: Exception, *names: str) -> bool:
    """By name, so that neither driver has to be imported for the other's errors."""
    kinds = type(error).__mro__
    return any(kind.__name__ in names and kind.__module__.partition(".")[0] in {"asyncpg", "psycopg"} for kind in kinds)


def is_broken(error: Exception) -> bool:
    """Whether the connection that gave the driver's error should be left behind."""
    state = getattr(error, "sqlstate", None)
    return state is None or state.startswith(_BREAKS)


def is_transient(error: Exception) -> bool:
    """Whether the statement was undone for another's sake, so that it can be tried again at once."""
    return (getattr(error, "sqlstate", None) or "").startswith("40")
