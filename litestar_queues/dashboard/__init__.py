"""In: nothing. Out: the value that switches the dashboard on; it loads nothing of Litestar."""

from litestar_queues.dashboard.config import DashboardConfig

__all__ = ("DashboardConfig",)
