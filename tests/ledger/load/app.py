"""In: the tasks. Out: the app of the load's workers."""

from __future__ import annotations

from litestar import Litestar

from litestar_queues import QueuePlugin
from tests.ledger.load import tasks

__all__ = ("app", "tasks")

app = Litestar(plugins=[QueuePlugin()])
