"""In: what was typed behind an option. Out: a value that fits, or one line about what is accepted."""

from __future__ import annotations

import click

__all__ = ("queue_names", "seconds")


def seconds(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """A number of seconds or minutes, 0 or more."""
    # a range lets NaN and infinity through
    if value is not None and not 0 <= value < float("inf"):
        raise click.BadParameter("use a number, 0 or more", ctx=ctx, param=param)
    return value


def queue_names(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Names of queues."""
    if not all(name and name.isprintable() for name in value):
        raise click.BadParameter("use names of queues", ctx=ctx, param=param)
    return value
