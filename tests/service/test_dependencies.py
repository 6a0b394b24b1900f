"""In: parameters that a call left open. Out: what the app provides for them, made anew for each attempt."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from litestar.di import Provide

from litestar_queues.errors import InvalidArgumentError
from litestar_queues.execution.context import TaskExecutionContext
from tests.service.providing import provided, run
from tests.worker.harness import Shop

# a resolver of the app's own


def as_mapping(task: Any, context: TaskExecutionContext) -> Any:
    return {"db": f"db of {task.name} {context.attempt}", "unwanted": 1}


async def as_awaitable(task: Any, context: TaskExecutionContext) -> Any:
    return as_mapping(task, context)


@asynccontextmanager
async def as_context_manager(task: Any, context: TaskExecutionContext) -> AsyncIterator[Any]:
    yield as_mapping(task, context)


@pytest.mark.parametrize("resolver", [as_mapping, as_awaitable, as_context_manager])
async def test_a_resolver_gives_values_in_any_of_its_forms(resolver: Callable[..., Any]) -> None:
    async with Shop(task_dependency_resolver=resolver) as shop:
        handle = await run(shop, lambda to, db: f"{to} by {db}", "ada")
        assert handle.result == "ada by db of task 1"


async def test_what_the_call_gives_goes_before_what_the_app_has() -> None:
    async with Shop(task_dependency_resolver=as_mapping) as shop:
        assert (await run(shop, lambda db="own": db, "given")).result == "given"
        assert (await run(shop, lambda db="own": db)).result == "db of task 1"
        assert (await run(shop, lambda other="own": other)).result == "own"


async def test_a_resolver_that_knows_nothing_leaves_defaults_in_place_and_the_rest_missing() -> None:
    async with Shop(task_dependency_resolver=lambda *_: None) as shop:
        assert (await run(shop, lambda db="own": db)).result == "own"
        error = (await run(shop, lambda db: db)).error
        assert error is not None
        assert "missing 1 required positional argument: 'db'" in error


async def test_a_resolver_that_gives_nonsense_fails_the_attempt_in_words() -> None:
    async with Shop(task_dependency_resolver=lambda *_: ["db"]) as shop:
        handle = await run(shop, lambda db: db)
        text = "DependencyError: task_dependency_resolver gave list for task 'task': let it give a mapping"
        assert handle.error == text


async def test_a_resolver_goes_before_the_apps_dependencies() -> None:
    shop = Shop(task_dependency_resolver=lambda *_: {"one": "resolver"})
    providers = {name: Provide(lambda: "app", sync_to_thread=False) for name in ("one", "two")}
    shop.service.dependencies.bind(providers, {})
    async with shop:
        assert (await run(shop, lambda one, two: [one, two])).result == ["resolver", "app"]


# the app's Litestar dependencies


def make() -> str:
    return threading.current_thread().name


async def make_async() -> str:
    return make()


def make_and_close() -> Iterator[str]:
    yield make()


async def make_and_close_async() -> AsyncIterator[str]:
    yield make()


@pytest.mark.parametrize(
    ("provider", "in_thread"),
    [
        (Provide(make, sync_to_thread=False), False),
        (Provide(make, sync_to_thread=True), True),
        (Provide(make_async), False),
        (Provide(make_and_close), False),
        (Provide(make_and_close_async), False),
        (Provide(partial(make), sync_to_thread=False), False),
        (make, False),
        (make_async, False),
        (make_and_close_async, False),
    ],
)
async def test_every_kind_of_dependency_is_provided_by_name(provider: Any, *, in_thread: bool) -> None:
    async with provided(thread=provider) as shop:
        result = (await run(shop, lambda thread: thread)).result
        assert (result != threading.current_thread().name) is in_thread


async def test_dependencies_may_ask_for_each_other_and_share_one_value_an_attempt() -> None:
    made: list[str] = []

    def engine() -> str:
        made.append("engine")
        return "engine"

    async def session(engine: str, state: Any, *, echo: bool = False) -> AsyncIterator[str]:
        yield f"session on {engine} of {state['app']}{echo}"

    def users(session: str, engine: str) -> str:
        return f"users by {session}, {engine}"

    providers = {
        "engine": Provide(engine, sync_to_thread=False),
        "session": Provide(session),
        "users": Provide(users, sync_to_thread=False),
    }
    async with provided({"state": {"app": "mine"}}, **providers) as shop:
        result = (await run(shop, lambda users, session: [users, session])).result
        assert result == ["users by session on engine of mineFalse, engine", "session on engine of mineFalse"]
        assert made == ["engine"]
        await run(shop, lambda users: users)
        assert made == ["engine", "engine"]


async def test_a_cached_dependency_is_made_once_for_all_attempts() -> None:
    made: list[int] = []

    def client() -> int:
        made.append(1)
        return len(made)

    async with provided(client=Provide(client, use_cache=True, sync_to_thread=False)) as shop:
        assert [(await run(shop, lambda client: client)).result for _ in range(2)] == [1, 1]


async def test_a_partial_is_asked_only_for_what_it_leaves_open() -> None:
    def client(url: str, *, timeout: int) -> str:
        return f"{url} within {timeout}"

    ready = Provide(partial(client, "http://mail", timeout=3), sync_to_thread=False)
    threaded = Provide(partial(client, "http://mail", timeout=3), sync_to_thread=True)
    for provider in (ready, threaded):
        async with provided(client=provider) as shop:
            assert (await run(shop, lambda client: client)).result == "http://mail within 3"


async def test_a_class_may_be_a_dependency() -> None:
    class Greeter:
        def __init__(self, word: str) -> None:
            self.word = word

    providers = {"word": Provide(lambda: "hello", sync_to_thread=False)}
    async with provided(greeter=Provide(Greeter, sync_to_thread=False), **providers) as shop:
        assert (await run(shop, lambda greeter: greeter.word)).result == "hello"


async def test_what_only_a_request_has_is_named_with_the_remedy() -> None:
    def user(request: Any) -> Any:
        return request.user

    def cart(user: Any) -> Any:
        return user

    providers = {"user": Provide(user, sync_to_thread=False), "cart": Provide(cart, sync_to_thread=False)}
    async with provided(**providers) as shop:
        remedy = "which only a request has: give the task its own by task_dependency_resolver"
        error = (await run(shop, lambda user: user)).error
        assert error == f"DependencyError: dependency 'user', asked for by task 'task', needs 'request', {remedy}"
        error = (await run(shop, lambda cart: cart)).error
        assert error == f"DependencyError: dependency 'user', asked for by dependency 'cart', needs 'request', {remedy}"


async def test_a_parameter_that_nobody_fills_is_refused_at_enqueue_unless_a_resolver_might() -> None:
    async with provided(session=Provide(make_async)) as shop:
        task = shop.task(lambda session, to: [session, to], name="task")
        with pytest.raises(InvalidArgumentError, match="'to'"):
            await shop.service.enqueue(task)
        assert (await shop.service.enqueue(task, to="ada")).created
    async with Shop(task_dependency_resolver=as_mapping) as shop:
        assert (await shop.service.enqueue(shop.task(lambda to: to, name="task"))).created
