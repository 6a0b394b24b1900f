"""In: batches of values. Out: the laws of the seam, kept in one SQLite file."""

from litestar_queues.backends.sqlite.backend import SQLiteBackend

__all__ = ("SQLiteBackend",)
