"""In: batches of values. Out: the laws of the seam, kept in the memory of this process."""

from litestar_queues.backends.memory.backend import MemoryBackend

__all__ = ("MemoryBackend",)
