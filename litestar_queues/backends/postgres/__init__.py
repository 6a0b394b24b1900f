"""In: batches of values. Out: the laws of the seam, kept in PostgreSQL."""

from litestar_queues.backends.postgres.backend import PostgresBackend
from litestar_queues.backends.postgres.drivers import Address

__all__ = ("Address", "PostgresBackend")
