"""In: the setting ``queue_backend``. Out: the backend that it means, imported on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from litestar_queues.backends.base import QueueBackend
from litestar_queues.config import QueueConfig
from litestar_queues.errors import QueueConfigurationError

if TYPE_CHECKING:
    from litestar_queues.backends.postgres import Address

__all__ = ("create_backend",)

_DEFAULT_FILE = "queue.db"
_LEAST_PATIENCE, _MOST_PATIENCE = 5.0, 30.0
"""Seconds that a server has for one operation."""
_ADAPTERS = {
    "sqlspec.adapters.sqlite.": "sqlite",
    "sqlspec.adapters.aiosqlite.": "sqlite",
    "sqlspec.adapters.asyncpg.": "asyncpg",
    "sqlspec.adapters.psycopg.": "psycopg",
}
_ACCEPTED = (
    "use 'memory', 'sqlite', 'sqlite:///path/to/file.db', 'postgresql://user@host/database', 'sqlspec:KEY' or "
    "a sqlspec config of a SQLite, asyncpg or psycopg adapter"
)


def create_backend(config: QueueConfig, *, app_configs: Sequence[Any] = ()) -> QueueBackend:
    """Make the backend that the settings name; it is not opened yet.

    Args:
        config: Settings.
        app_configs: sqlspec configs of the app; the first one that fits serves where no backend is named.

    Raises:
        QueueConfigurationError: The setting means no backend.
    """
    wanted = config.queue_backend
    match wanted:
        case QueueBackend():
            return wanted
        case None:
            ours = next((one for one in app_configs if _adapter(one) is not None), None)
            return _sqlite(config, Path(_DEFAULT_FILE)) if ours is None else _of_sqlspec(config, ours)
        case str():
            return _of_text(config, wanted, app_configs)
        case _ if _adapter(wanted) is not None:
            return _of_sqlspec(config, wanted)
        case _:
            raise _refused(repr(wanted))


def _of_text(config: QueueConfig, text: str, app_configs: Sequence[Any]) -> QueueBackend:
    scheme, _, rest = text.partition(":")
    match scheme:
        case "memory" if not rest:
            from litestar_queues.backends.memory import MemoryBackend

            return MemoryBackend()
        case "sqlite":
            return _sqlite(config, _path_of_url(text) if rest else Path(_DEFAULT_FILE))
        case "postgres" | "postgresql" | "postgresql+asyncpg" | "postgresql+psycopg" if rest.startswith("//"):
            from litestar_queues.backends.postgres import Address

            return _postgres(config, Address.from_url(text, pooled=config.postgres_pooler))
        case "sqlspec" if rest:
            return _of_sqlspec(config, _find_config(rest, app_configs))
        case _:
            # the text may hold a password
            raise _refused(f"{scheme}:..." if rest else repr(text))


def _sqlite(config: QueueConfig, path: Path) -> QueueBackend:
    from litestar_queues.backends.sqlite import SQLiteBackend

    return SQLiteBackend(path, synchronous=config.sqlite_synchronous, migrate_on_start=config.migrate_on_start)


def _postgres(config: QueueConfig, address: Address) -> QueueBackend:
    from litestar_queues.backends.postgres import PostgresBackend

    return PostgresBackend(
        # a line that went dead must be given up while there is time to renew the leases on another
        replace(address, patience=min(_MOST_PATIENCE, max(_LEAST_PATIENCE, config.worker_stale_after / 2))),
        prefix=config.postgres_prefix,
        migrate_on_start=config.migrate_on_start,
        notifications=config.postgres_notifications,
    )


def _of_sqlspec(config: QueueConfig, theirs: Any) -> QueueBackend:
    """Make a backend on the database of a sqlspec config, with connections of its own."""
    adapter = str(_adapter(theirs))
    options = {name: value for name, value in dict(theirs.connection_config).items() if value is not None}
    if adapter == "sqlite":
        return _sqlite(config, _path_of_options(options))
    return _postgres(config, _address(adapter, options, pooled=config.postgres_pooler))


def _address(adapter: str, options: dict[str, Any], *, pooled: bool) -> Address:
    from litestar_queues.backends.postgres import Address

    text = options.get("dsn") or options.get("conninfo") or ""
    options = {name: options[name] for name in _CONNECTION_OPTIONS if name in options}
    if "://" in text:
        address = Address.from_url(f"postgresql+{adapter}://{text.partition('://')[2]}", pooled=pooled)
        return replace(address, options=options)
    if text:  # "host=... dbname=...", which only psycopg reads
        from psycopg.conninfo import conninfo_to_dict

        options = conninfo_to_dict(text) | options
    return Address(adapter, None, options, pooled)


_CONNECTION_OPTIONS = (
    "host", "hostaddr", "port", "user", "password", "passfile", "database", "dbname", "ssl", "sslmode", "sslrootcert",
    "sslcert", "sslkey", "direct_tls", "target_session_attrs", "server_settings", "options",
)  # fmt: skip
"""What says where a server is and who asks; pools and caches are the app's own affair."""


def _find_config(key: str, app_configs: Sequence[Any]) -> Any:
    for config in app_configs:
        if getattr(config, "bind_key", None) == key and _adapter(config) is not None:
            return config
    keys = sorted(str(config.bind_key) for config in app_configs if getattr(config, "bind_key", None))
    there = f"those of the app are {', '.join(map(repr, keys))}" if keys else "the app has none"
    where = QueueConfig.label("queue_backend")
    msg = f"{where}='sqlspec:{key}': no sqlspec config has this bind_key; {there}"
    raise QueueConfigurationError(msg)


def _path_of_url(text: str) -> Path:
    remedy = "a SQLite URL is sqlite:/// and a path, with a fourth slash for an absolute one"
    try:
        url = urlsplit(text)
    except ValueError:  # such as sqlite://[
        raise _refused("sqlite:...", remedy) from None
    path = unquote(url.path.removeprefix("/"))
    odd = url.netloc or url.query or url.fragment or not text.startswith("sqlite:///")
    if odd or not path or path.startswith(":"):
        raise _refused("sqlite:..." if "@" in text else repr(text), remedy)
    return Path(path)


def _path_of_options(options: dict[str, Any]) -> Path:
    database = str(options.get("database", ""))
    if not database or database.startswith((":", "file:")):
        msg = (
            f"the sqlspec config names no file ({database!r}) that other processes could see: give its database a path"
        )
        raise QueueConfigurationError(msg)
    return Path(database)


def _adapter(config: Any) -> str | None:
    """Which of our stores a sqlspec config fits, known by its looks so that sqlspec need not be imported."""
    module = f"{type(config).__module__}."
    return next((adapter for start, adapter in _ADAPTERS.items() if module.startswith(start)), None)


def _refused(given: str, remedy: str = _ACCEPTED) -> QueueConfigurationError:
    return QueueConfigurationError(f"{QueueConfig.label('queue_backend')}={given} is not accepted: {remedy}")
