"""In: a seed. Out: a process that enqueues a mix of tasks until SIGTERM, and notes what it was told is durable.

Half of the records have a key and are sent again, with the same key, until the answer comes: as an app does that must
lose nothing. The others are sent once; where no answer comes, nobody knows whether they are there.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from typing import Any

from litestar_queues import QueueConfig, QueueService
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.tasks import Task
from tests.ledger import app
from tests.ledger.sidelog import SideLog

_MIX: list[tuple[int, Task[..., Any], dict[str, Any]]] = [
    (30, app.quick, {}),
    (20, app.naps, {"priority": 1}),
    (10, app.thread, {"queue": "threads"}),
    (10, app.long, {}),
    (5, app.fails, {}),
    (10, app.recovers, {"queue": "retries"}),
    (3, app.late, {}),
    (3, app.endless, {}),
    (6, app.quick, {"run_after": 0.8}),
    (3, app.naps, {"run_after": 0.5, "expires_in": 0.4}),
]


class Producer:
    """One producer."""

    def __init__(self, service: QueueService, seed: int) -> None:
        self._service = service
        self._random = random.Random(seed)
        self._log = SideLog(app.FOLDER, "producer")
        self._pause = 1 / float(os.environ.get("LEDGER_RATE", "30"))
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Enqueue until told to stop."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stopping.set)
        cancelling = asyncio.create_task(asyncio.sleep(0))
        n = 0
        while not self._stopping.is_set():
            n += 1
            (_, task, options), *_ = self._random.choices(_MIX, weights=[share for share, *_ in _MIX])
            keyed: dict[str, Any] = (
                {"key": f"{os.getpid()}-{n}", "unique_for": 3600.0} if self._random.random() < 0.5 else {}
            )
            record_id = await self._enqueue(task.using(**options, **keyed), n, again=bool(keyed))
            if record_id is not None and task is app.endless:
                await cancelling
                cancelling = asyncio.create_task(self._cancel(record_id))
            await asyncio.sleep(self._pause * self._random.uniform(0.5, 1.5))
        await cancelling

    async def _enqueue(self, task: Task[..., Any], n: int, *, again: bool) -> Any:
        self._log.write("intent", n=n, key=task.options.key)
        while True:
            try:
                result = await self._service.enqueue(task, n)
            except BackendUnavailableError as error:
                if not again:
                    self._log.write("unsure", n=n, error=str(error))
                    return None
                await asyncio.sleep(0.2)
            else:
                self._log.write("ack", id=result.id, key=task.options.key, task=task.name)
                return result.id

    async def _cancel(self, record_id: Any) -> None:
        """Have the record stopped, however often one must ask."""
        await asyncio.sleep(0.3)
        self._log.write("cancel", id=record_id)
        while True:
            try:
                record = await self._service.get_task(record_id)
                if record is None or record.status.is_terminal:
                    return
                await self._service.cancel_task(record_id, include_running=True)
            except BackendUnavailableError:
                pass
            await asyncio.sleep(0.2)


async def main(seed: int) -> None:
    """Open the service, as soon as its store is there, and produce."""
    service = QueueService(QueueConfig())
    while True:
        try:
            await service.open()
        except BackendUnavailableError:
            await asyncio.sleep(0.2)
        else:
            break
    async with service:
        await Producer(service, seed).run()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
