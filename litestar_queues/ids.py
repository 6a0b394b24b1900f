"""In: the clock and the system's randomness. Out: record ids (UUIDv7, RFC 9562), tokens, worker ids."""

from __future__ import annotations

import os
import random
import socket
import time
from datetime import datetime
from uuid import UUID, SafeUUID

from litestar_queues.clock import to_micros

__all__ = ("first_id_at", "new_id", "new_token", "new_worker_id")

_RANDOM_BITS = 62
_VERSION_7 = 0x7 << 12
"""Above the lower half of the number."""
_VARIANT = 0x2 << 62
_last_micros = 0
_dice = random.Random()  # an id must be unique, not secret, and this takes a fifth of the time of os.urandom
_random_bits = _dice.getrandbits
_bare = object.__new__
_set_int = vars(UUID)["int"].__set__
_set_is_safe = vars(UUID)["is_safe"].__set__
_UNKNOWN = SafeUUID.unknown
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_dice.seed)


def new_id() -> UUID:
    """Mint a record id: UUIDv7, so that ids sort by the time they were minted.

    RFC 9562 section 6.2 method 3: the 12 bits behind the millisecond hold its fraction. Two ids of one process never
    share a microsecond, so a batch keeps its order.
    """
    global _last_micros  # noqa: PLW0603 - one sequence per process is the point
    micros = time.time_ns() // 1000
    if micros <= _last_micros:
        micros = _last_micros + 1
    _last_micros = micros
    # the constructor checks what is known here, which takes twice as long as all the rest
    made: UUID = _bare(UUID)
    _set_int(made, _least_at(micros) | _random_bits(_RANDOM_BITS))
    _set_is_safe(made, _UNKNOWN)
    return made


def first_id_at(moment: datetime) -> UUID:
    """The least id that can be minted in the microsecond of an aware time.

    Raises:
        ValueError: The time has no zone.
    """
    return UUID(int=_least_at(max(0, to_micros(moment))))


def _least_at(micros: int) -> int:
    millis, rest = divmod(micros, 1000)
    # small numbers first: the shifts of the large one cost most
    return ((millis << 16 | _VERSION_7 | (rest << 12) // 1000) << 64) | _VARIANT


def new_token() -> int:
    """Mint a claim token: 62 random bits, never zero."""
    return (int.from_bytes(os.urandom(8), "big") >> 2) | 1


def new_worker_id(name: str | None = None) -> str:
    """Mint the identity of one worker process: its name or host name, and a nonce.

    The nonce keeps a process that comes back under an old name from vouching for its former self.
    """
    return f"{name or socket.gethostname()}:{os.urandom(4).hex()}"
