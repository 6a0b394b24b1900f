"""In: ``litestar queues ...``. Out: what the operator asked for, in words or JSON, and an honest exit code."""

from litestar_queues.cli.early import open_closed_streams, take_signals_early, tell_wrong_settings

open_closed_streams()
take_signals_early()
tell_wrong_settings()

from litestar_queues.cli import fleet, health, records, schedules, steer, watch, work  # noqa: E402, F401 - each adds its commands to the group
from litestar_queues.cli.group import queues  # noqa: E402

__all__ = ("queues",)
