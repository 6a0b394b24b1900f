"""In: a store. Out: an app on it, its commands as an operator types them, and what has become of the records."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, TypeVar
from uuid import UUID

from click.testing import CliRunner, Result
from litestar import Litestar

from litestar_queues import QueueConfig, QueuePlugin, QueueService, task
from litestar_queues.cli import queues
from litestar_queues.records import QueuedTaskRecord

__all__ = ("Desk",)

T = TypeVar("T")


class Desk:
    """Where an operator sits.

    Args:
        settings: Of the app's queue.
    """

    def __init__(self, **settings: Any) -> None:
        self.plugin = QueuePlugin(QueueConfig(**settings))
        self._env = SimpleNamespace(app=Litestar(plugins=[self.plugin]), app_path="app:app")
        _define_tasks()

    @classmethod
    def beside(cls, other: Desk) -> Desk:
        """Another process on the same store, as far as the store can tell."""
        desk = cls.__new__(cls)
        desk.plugin = QueuePlugin(other.plugin.config)
        desk._env = SimpleNamespace(app=Litestar(plugins=[desk.plugin]), app_path="app:app")
        return desk

    def types(self, *words: str, answer: str | None = None) -> Result:
        """Run ``litestar queues ...`` to its end; no failure of it is a traceback."""
        result = CliRunner().invoke(queues, words, input=answer, obj=self._env)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def sees(self, *words: str) -> str:
        """What a command prints that succeeds and has nothing to complain of."""
        result = self.types(*words)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return result.stdout

    def reads(self, *words: str) -> Any:
        """The JSON that a command prints, whatever its exit code."""
        result = self.types(*words, "--json")
        assert result.stdout.count("\n") == 1, result.output
        return json.loads(result.stdout)

    def refused(self, *words: str, answer: str | None = None) -> tuple[int, str]:
        """Exit code of a command that does nothing, and its one line."""
        result = self.types(*words, answer=answer)
        assert (result.stdout, result.stderr.count("\n")) == ("", 1), result.output
        return result.exit_code, result.stderr.strip()

    # the same without commands

    def do(self, act: Callable[[QueueService], Coroutine[Any, Any, T]]) -> T:
        """What the service answers."""

        async def run() -> T:
            async with self.plugin.service as service:
                return await act(service)

        return asyncio.run(run())

    def enqueue(self, name: str, *args: Any, times: int = 1, **options: Any) -> UUID:
        """Store records, and give the last one's id."""

        async def act(service: QueueService) -> UUID:
            found = service.registry.require(name)
            handles = [await service.enqueue(found.using(**options), *args) for _ in range(times)]
            return handles[-1].id

        return self.do(act)

    def work(self) -> None:
        """Run all that is due."""
        self.do(lambda service: service.run_due())

    def record(self, record_id: UUID) -> QueuedTaskRecord:
        found = self.do(lambda service: service.get_task(record_id))
        assert found is not None
        return found

    def status(self, record_id: UUID) -> str:
        return str(self.record(record_id).status)

    def counts(self) -> dict[str, int]:
        """By status, those that are there."""
        counts = self.do(lambda service: service.get_statistics()).as_dict()
        return {name: count for name, count in counts.items() if count and name != "total"}


def _define_tasks() -> None:
    @task
    async def greet(name: str = "you") -> str:
        return f"hello {name}"

    @task(queue="mail")
    async def fail(text: str = "no luck") -> None:
        raise ValueError(text)

    @task
    async def note(at: UUID, *, times: int = 1) -> int:
        return times

    @task("report", cron="0 12 * * *")
    async def report() -> None: ...
