"""In: the health of the worker in this pod, by its port or its file. Out: one line and an exit code.

``litestar-queues-probe scheduler-health | live | ready`` is what exec probes call, so it imports the standard library
alone, and of that only what is cheap: no asyncio, argparse, pathlib or typing. The worker judges itself by ``judge``.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

__all__ = ("CHECKS", "FILE_INTERVAL", "HEALTHY", "NO_CANARY", "STALE", "UNHEALTHY", "judge", "main", "say_no_canary")

HEALTHY, UNHEALTHY, WRONG_CALL, NO_CANARY, STALE = range(5)
CHECKS = ("scheduler-health", "live", "ready")

FILE_INTERVAL = 2.0
"""Seconds between two writes of the health file."""
_FILE_TOO_OLD = 30.0
_SOCKET_TIMEOUT = 5.0
_MOST_BYTES = 65_536
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what binds all of them answers on loopback
_USAGE = """\
usage: litestar-queues-probe scheduler-health|live|ready [--minutes N] [--port N] [--host ADDRESS] [--file PATH]

  scheduler-health  the loop of this worker goes round, and the fleet's canary completed within --minutes (5)
  live              the loop of this worker goes round
  ready             this worker claims

It asks the worker's health port (--port or LITESTAR_QUEUES_HEALTH_PORT) or reads its health file (--file or
LITESTAR_QUEUES_HEALTH_FILE). Exit codes: 0 healthy, 1 unhealthy or no worker, 2 wrong call, 3 no canary, 4 stale."""


def judge(facts: Mapping[str, Any], check: str, minutes: float = 5.0) -> tuple[int, str]:
    """Say whether a worker is well.

    Args:
        facts: What the worker knows of itself, as its health port and its health file tell it.
        check: ``"live"``, ``"ready"`` or ``"scheduler-health"``.
        minutes: How old the canary's last completion may be.

    Returns:
        Exit code and one line of text.
    """
    if facts["stuck_for"]:
        return UNHEALTHY, f"unhealthy: the claiming loop has not gone round for {facts['stuck_for']:.0f} s"
    if check == "live":
        return HEALTHY, f"live: {facts['state']}"
    if check == "ready":
        return (HEALTHY, "ready: claiming") if facts["ready"] else (UNHEALTHY, f"not ready: {facts['state']}")
    return _judge_canary(facts, minutes)


def _judge_canary(facts: Mapping[str, Any], minutes: float) -> tuple[int, str]:
    name, age, window = facts["canary"], facts["canary_age"], minutes * 60
    if not facts["canary_registered"]:
        return NO_CANARY, say_no_canary(name)
    if age is not None and age <= window:
        return HEALTHY, f"healthy: {name} completed {facts['canary_completed_at']}"
    if not facts["store_ok"]:  # a restart of this process would not bring the store back
        return HEALTHY, "healthy: the store cannot be reached, so the canary cannot be judged"
    if facts["up_for"] <= window:  # a worker that has just come may be the one that makes the canary run again
        return HEALTHY, f"healthy: {name} has not completed yet, and this worker runs for {facts['up_for']:.0f} s only"
    return STALE, f"stale: {name} has not completed within {minutes:g} minutes"


def say_no_canary(name: str) -> str:
    """Say that the app has no canary, and how it gets one."""
    return (
        f"unhealthy: no recurring task {name!r} is registered: add @task({name!r}, interval=60) to the app, "
        "or name another in QueueConfig.scheduler_canary_task"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the probe and give the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments) in (["-h"], ["--help"]):
        print(_USAGE)
        return HEALTHY
    try:
        check, options = _read_call(arguments)
        minutes, port = _number("minutes", options), _number("port", options)
    except ValueError as error:
        print(f"{error}\n{_USAGE}", file=sys.stderr)
        return WRONG_CALL
    try:
        facts = _ask(options["host"], int(port)) if port else _read(options["file"])
        code, text = judge(facts, check, minutes)
    except (OSError, ValueError, KeyError, TypeError) as error:
        code, text = UNHEALTHY, f"unhealthy: {error}"
    print(" ".join(text.split()), file=sys.stderr if code else sys.stdout)
    return code


def _read_call(arguments: Sequence[str]) -> tuple[str, dict[str, str]]:
    if not arguments or arguments[0] not in CHECKS:
        msg = f"{arguments[0]!r} is no check: " if arguments else ""
        raise ValueError(f"{msg}use one of {', '.join(CHECKS)}")
    options = {
        "minutes": "5",
        "host": os.environ.get("LITESTAR_QUEUES_HEALTH_HOST") or "127.0.0.1",
        "port": os.environ.get("LITESTAR_QUEUES_HEALTH_PORT") or "0",
        "file": os.environ.get("LITESTAR_QUEUES_HEALTH_FILE") or "",
    }
    words = iter([part for argument in arguments[1:] for part in argument.split("=", 1)])
    for word in words:
        name = word.removeprefix("--")
        value = next(words, None)
        if name == word or name not in options or value is None:
            raise ValueError(f"{word} is no option, or lacks its value")
        options[name] = value
    return arguments[0], options


def _number(name: str, options: Mapping[str, str]) -> float:
    most = {"minutes": 1_000_000, "port": 65_535}[name]
    try:
        number = float(options[name])
    except ValueError:
        number = -1
    if not (name == "port" if number == 0 else 0 < number <= most):
        raise ValueError(f"--{name} {options[name]} is not accepted: use a number above 0 and up to {most}")
    return number


def _ask(host: str, port: int) -> Any:
    """Ask the worker for its facts."""
    host = _EVERY_ADDRESS.get(host, host)
    try:
        with socket.create_connection((host, port), timeout=_SOCKET_TIMEOUT) as connection:
            connection.sendall(b"GET /facts HTTP/1.0\r\n\r\n")
            answer = b""
            while len(answer) < _MOST_BYTES and (part := connection.recv(_MOST_BYTES)):
                answer += part
    except TimeoutError:
        raise ValueError(f"the worker at {host}:{port} does not answer within {_SOCKET_TIMEOUT:g} s") from None
    except OSError as error:
        raise ValueError(f"no worker answers at {host}:{port}: {error.strerror or error}") from None
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head[:16]:
        raise ValueError(f"what answers at {host}:{port} is no worker")
    return json.loads(body)


def _read(path: str) -> Any:
    """Read what the worker wrote last."""
    if not path:
        raise ValueError(
            "set LITESTAR_QUEUES_HEALTH_PORT or LITESTAR_QUEUES_HEALTH_FILE for the worker and for this probe"
        )
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - importing pathlib costs 10 ms
            facts = json.loads(file.read(_MOST_BYTES))
    except FileNotFoundError:
        raise ValueError(f"there is no health file {path}: the worker has not started, or it has left") from None
    age = time.time() - facts["written_at"]
    if age > _FILE_TOO_OLD:
        raise ValueError(f"the health file {path} was written {age:.0f} s ago: the worker's event loop stands still")
    return facts


if __name__ == "__main__":
    sys.exit(main())
