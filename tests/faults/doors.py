"""In: the seam. Out: who calls each of its methods, so that none is forgotten when lines break."""

from __future__ import annotations

__all__ = ("HOT", "LAST_WORDS", "NO_LINE", "WORKER_DOORS")

WORKER_DOORS = (
    "enqueue_many",
    "claim_many",
    "finish_many",
    "renew_many",
    "cancel_requests",
    "save_progress",
    "rescue_many",
    "rescue_predecessor",
    "sync_schedules",
    "due_schedules",
    "fire_ticks",
    "canary_completed_at",
    "report_worker",
    "prune_many",
    "prune_ticks",
    "prune_workers",
    "prune_tallies",
)
"""What happens of itself while a worker is at work, and the enqueue of a producer who tries until it is told."""

HOT = ("enqueue_many", "claim_many", "finish_many", "renew_many", "fire_ticks")
"""Those of them on which records depend most; they are tried on PostgreSQL too."""

LAST_WORDS = ("forget_worker",)
"""Said once, when a worker leaves."""

NO_LINE = ("describe", "migration_sql", "on_listener_change", "subscribe")
"""Answered without asking the store."""
