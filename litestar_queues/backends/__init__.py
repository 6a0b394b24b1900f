"""In: the setting ``queue_backend``. Out: the backend that it means, imported on demand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from litestar_queues.backends.base import QueueBackend
from litestar_queues.errors import QueueConfigurationError

if TYPE_CHECKING:
    from litestar_queues.config import QueueConfig

__all__ = ("create_backend",)

_DEFAULT_FILE = "queue.db"
_SQLITE_ADAPTERS = ("sqlspec.adapters.sqlite.", "sqlspec.adapters.aiosqlite.")
_ACCEPTED = "use 'memory', 'sqlite', 'sqlite:///path/to/file.db' or a sqlspec config of a SQLite adapter"


def create_backend(config: QueueConfig, *, app_configs: Sequence[Any] = ()) -> QueueBackend:
    """Make the backend that the settings name; it is not opened yet.

    Args:
        config: Settings.
        app_configs: sqlspec configs of the app; the first one of SQLite serves where no backend is named.

    Raises:
        QueueConfigurationError: The setting means no backend.
    """
    wanted = config.queue_backend
    match wanted:
        case QueueBackend():
            return wanted
        case "memory":
            from litestar_queues.backends.memory import MemoryBackend

            return MemoryBackend()
        case None:
            ours = next((path for path in map(_path_of_sqlspec, app_configs) if path is not None), None)
            return _sqlite(config, ours or Path(_DEFAULT_FILE))
        case "sqlite":
            return _sqlite(config, Path(_DEFAULT_FILE))
        case str():
            return _sqlite(config, _path_of_url(wanted))
    path = _path_of_sqlspec(wanted)
    if path is None:
        raise _refused(repr(wanted))
    return _sqlite(config, path)


def _sqlite(config: QueueConfig, path: Path) -> QueueBackend:
    from litestar_queues.backends.sqlite import SQLiteBackend

    return SQLiteBackend(path, synchronous=config.sqlite_synchronous, migrate_on_start=config.migrate_on_start)


def _path_of_url(text: str) -> Path:
    scheme, _, rest = text.partition("://")
    if scheme != "sqlite":
        # the text may hold a password
        raise _refused(f"{scheme}://..." if rest else repr(text))
    url = urlsplit(text)
    path = unquote(url.path.removeprefix("/"))
    if url.netloc or url.query or url.fragment or not path or path.startswith(":"):
        raise _refused(repr(text), "a SQLite URL is sqlite:/// and a path, with a fourth slash for an absolute one")
    return Path(path)


def _path_of_sqlspec(config: Any) -> Path | None:
    """The file of a sqlspec config, known by its looks so that sqlspec need not be imported; ``None`` for others."""
    if not f"{type(config).__module__}.".startswith(_SQLITE_ADAPTERS):
        return None
    database = str(config.connection_config.get("database", ""))
    if not database or database.startswith((":", "file:")):
        msg = (
            f"the sqlspec config names no file ({database!r}) that other processes could see: give its database a path"
        )
        raise QueueConfigurationError(msg)
    return Path(database)


def _refused(given: str, remedy: str = _ACCEPTED) -> QueueConfigurationError:
    return QueueConfigurationError(f"QueueConfig.queue_backend={given} is not accepted: {remedy}")
