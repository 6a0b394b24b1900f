"""In: word that records have changed. Out: wake-ups on the event loops of the subscribers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ("WakeUps",)


class WakeUps:
    """The functions to call."""

    def __init__(self) -> None:
        self._subscriptions: tuple[_Subscription, ...] = ()

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call the function on this loop when records may have changed; gives the function that ends it."""
        subscription = _Subscription(wake)
        self._subscriptions = (*self._subscriptions, subscription)

        def unsubscribe() -> None:
            subscription.active = False
            self._subscriptions = tuple(one for one in self._subscriptions if one is not subscription)

        return unsubscribe

    def notify(self) -> None:
        """Have the subscribers woken, soon."""
        for subscription in self._subscriptions:
            subscription.fire_soon()

    def clear(self) -> None:
        """End every subscription."""
        for subscription in self._subscriptions:
            subscription.active = False
        self._subscriptions = ()


class _Subscription:
    __slots__ = ("_loop", "_outstanding", "_wake", "active")

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._outstanding = False
        self.active = True

    def fire_soon(self) -> None:
        """Have the function called; wake-ups that would pile up are one."""
        if self._outstanding or self._loop.is_closed():
            return
        self._outstanding = True
        mine = self._loop is asyncio.get_running_loop()
        (self._loop.call_soon if mine else self._loop.call_soon_threadsafe)(self._fire)

    def _fire(self) -> None:
        self._outstanding = False
        if self.active:
            self._wake()
