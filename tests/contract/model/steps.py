"""In: the verbs of a life, and dice. Out: any of them with any arguments, the frequent ones more often.

Each step is thrown with dice of its own, whose seed is all that hypothesis chooses: left to choose arguments too, it
tries many short lives in which nothing happens. It can still leave out steps, which is how it finds the shortest story.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

__all__ = ("Throw", "either", "one_of", "some", "step", "throw_step")

Verb = TypeVar("Verb", bound=Callable[..., None])
Throw = Callable[[Random], Any]


def one_of(*values: Any) -> Throw:
    """Any of the values; what is to come often is given twice."""
    return lambda dice: dice.choice(values)


def either(dice: Random) -> int:
    """The first process or the second."""
    return dice.randrange(2)


def some(throw: Throw, most: int) -> Throw:
    """One to so many throws."""
    return lambda dice: [throw(dice) for _ in range(dice.randint(1, most))]


def step(times: int = 1, /, **arguments: Throw) -> Callable[[Verb], Verb]:
    """Make a method a step that is taken with these arguments, so many times as often as others."""

    def mark(verb: Verb) -> Verb:
        verb.__dict__["step"] = times, arguments
        return verb

    return mark


def throw_step(life: type, dice: Random) -> tuple[str, dict[str, Any]]:
    """The name of a step of this life, and arguments."""
    steps = {name: verb.step for name in dir(life) if hasattr(verb := getattr(life, name), "step")}
    (name,) = dice.choices(list(steps), [times for times, _ in steps.values()])
    return name, {argument: throw(dice) for argument, throw in steps[name][1].items()}
