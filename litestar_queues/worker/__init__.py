"""In: a service. Out: one process that works on its records."""

from litestar_queues.worker.worker import Worker

__all__ = ("Worker",)
