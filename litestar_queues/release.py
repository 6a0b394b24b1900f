"""In: what is installed. Out: the release of litestar-queues that runs."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

__all__ = ("release",)


@cache
def release() -> str:
    """Its version."""
    try:
        return version("litestar-queues")
    except PackageNotFoundError:  # it lies on the path without having been installed
        return "unknown"
