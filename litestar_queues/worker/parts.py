"""In: a service and what one worker was told. Out: its rooms, joined to each other."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from litestar_queues.clock import Clock
from litestar_queues.events import TaskPublished
from litestar_queues.fleet import WorkerReport
from litestar_queues.maintenance.pruner import Pruner
from litestar_queues.maintenance.rescuer import Rescuer
from litestar_queues.maintenance.scheduler import Scheduler
from litestar_queues.records import CANARY_QUEUE, Held
from litestar_queues.release import release
from litestar_queues.rooms import Room, StoreHealth
from litestar_queues.worker.canary import CanaryWatch
from litestar_queues.worker.claimer import Claimer, ClaimerOptions
from litestar_queues.worker.completer import Completer
from litestar_queues.worker.executor import Executor
from litestar_queues.worker.leases import CancelWatch, LagWatch, LeaseKeeper
from litestar_queues.worker.presence import Presence
from litestar_queues.worker.progress import ProgressKeeper
from litestar_queues.worker.slots import Slots

if TYPE_CHECKING:
    from litestar_queues.events import QueueEvent
    from litestar_queues.service import QueueService

__all__ = ("WorkerParts",)

_CANARY_POLL_INTERVAL = 5.0


class WorkerParts:
    """The rooms of one worker.

    Args:
        service: Where the records are.
        worker_id: Who holds them.
        queues: Only these; none at all: every queue.
        max_concurrency: Tasks at a time.
        health: Told of outages by every room.
    """

    def __init__(
        self,
        service: QueueService,
        *,
        worker_id: str,
        queues: Sequence[str],
        max_concurrency: int,
        health: StoreHealth,
    ) -> None:
        backend, config = service.backend, service.config
        self._service = service
        self._worker_id = worker_id
        self._queues = tuple(queues)
        self._max_concurrency = max_concurrency
        self._health = health
        self._started_at = datetime.now(UTC)
        self.draining = asyncio.Event()
        self.leaving = asyncio.Event()
        self.execution = service.make_execution()
        self.progress = ProgressKeeper(backend, health=health, bus=service.bus)
        self.completer = Completer(
            backend, worker_id=worker_id, health=health, bus=service.bus, before_write=self.progress.flush
        )
        self.executor = Executor(
            self.execution,
            self.completer,
            worker_id=worker_id,
            save_progress=self.progress.save,
            publish=self._publish if config.event_config.enabled else None,
        )
        self.canary = CanaryWatch(
            backend, clock=Clock(), interval=config.worker_heartbeat_interval, health=health, bus=service.bus
        )
        self.poll_interval = config.worker_poll_interval or backend.poll_interval
        # the canary has its own lane, so that neither full slots nor a queue filter hold it back
        self.claimers = (
            self._claimer(queues, slots=max_concurrency, poll_interval=self.poll_interval),
            self._claimer((CANARY_QUEUE,), slots=1, poll_interval=max(_CANARY_POLL_INTERVAL, self.poll_interval)),
        )
        self.until_draining = self._maintenance()
        self.until_leaving = (self.completer, self.progress, self.canary, self._presence(), *self._watches())

    def held(self) -> list[Held]:
        """The claim of every record whose outcome is not stored yet; the latest, where one was lost and taken again."""
        return list({one.id: one for one in self.completer.held() + self.executor.held()}.values())

    def stop_claiming(self) -> None:
        """Let the rooms end that make work."""
        self.draining.set()
        for claimer in self.claimers:
            claimer.interrupt()

    def leave(self) -> None:
        """Let the rooms end that look after running work."""
        self.leaving.set()
        self.completer.interrupt()

    def _claimer(self, queues: Sequence[str], *, slots: int, poll_interval: float) -> Claimer:
        options = ClaimerOptions(
            worker_id=self._worker_id,
            queues=queues,
            lease=self._service.config.worker_stale_after,
            poll_interval=poll_interval,
            follows_wakeups=queues != (CANARY_QUEUE,),
        )
        return Claimer(
            options,
            backend=self._service.backend,
            slots=Slots(slots),
            executor=self.executor,
            completer=self.completer,
            health=self._health,
        )

    def _maintenance(self) -> list[Room]:
        service, config, health = self._service, self._service.config, self._health
        rescuer = Rescuer(
            service.backend,
            worker_id=self._worker_id,
            succeeds=config.worker_name is not None,
            max_lost_leases=config.worker_max_lost_leases,
            interval=config.worker_heartbeat_interval,
            health=health,
            bus=service.bus,
        )
        rooms: list[Room] = [rescuer, Pruner(service.backend, config.retention, health=health, bus=service.bus)]
        if config.initialize_schedules:
            scheduler = Scheduler(
                service.backend,
                service.registry,
                service.mint_tick,
                service.fire_ticks,
                clock=Clock(),
                wake=self.claimers[-1].wake,  # other lanes hear of it from the store
                health=health,
                bus=service.bus,
            )
            rooms.append(scheduler)
        return rooms

    def _presence(self) -> Presence:
        config = self._service.config
        return Presence(
            self._service.backend,
            self._describe,
            draining=self.draining,
            interval=config.worker_heartbeat_interval,
            lease=config.worker_stale_after,
            health=self._health,
            bus=self._service.bus,
        )

    def _describe(self) -> WorkerReport:
        return WorkerReport(
            worker_id=self._worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=release(),
            queues=self._queues,
            max_concurrency=self._max_concurrency,
            running=self.executor.running_count,
            draining=self.draining.is_set(),
            started_at=self._started_at,
        )

    def _watches(self) -> tuple[LeaseKeeper, CancelWatch, LagWatch]:
        service, config, health = self._service, self._service.config, self._health
        leases = LeaseKeeper(
            service.backend,
            self.executor,
            self.held,
            interval=config.worker_heartbeat_interval,
            lease=config.worker_stale_after,
            health=health,
            bus=service.bus,
        )
        cancels = CancelWatch(service.backend, self.executor, self._worker_id, health=health, bus=service.bus)
        return leases, cancels, LagWatch(service.bus, warn_after=config.worker_loop_lag_warning)

    def _publish(self, event: QueueEvent) -> None:
        self._service.bus.emit(TaskPublished(event))
