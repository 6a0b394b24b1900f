"""In: the words behind ``litestar queues``. Out: the group of its commands, whose errors are one line each."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from litestar_queues.errors import QueueError

__all__ = ("INTERRUPTED", "OneLineGroup", "announce", "fail", "queues", "tell")


INTERRUPTED = 130
"""Exit code of a command that SIGINT ended, as shells have it."""

_STDOUT, _STDERR = 1, 2
_NOT_WRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EIO}
"""What a full disk behind ``> file`` says; click ends quietly where nobody reads a pipe any more."""


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Tell what is expected to go wrong at times in one line on stderr, whatever formatter the group above has."""
    try:
        yield
    except click.UsageError as error:
        usage = f"; see `{error.ctx.command_path} --help`" if error.ctx is not None else ""
        fail(f"{error.format_message().rstrip('.')}{usage}", error.exit_code)
    except click.ClickException as error:
        fail(error.format_message(), error.exit_code)
    except QueueError as error:
        fail(str(error), 1)
    except click.Abort:
        fail("nothing was changed, for nobody said yes: answer, or add --yes", 1)
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)
    except OSError as error:
        if error.errno not in _NOT_WRITTEN:
            raise
        _silence(_STDOUT)
        fail(f"the answer cannot be written: {error.strerror}", 1)


def fail(text: str, code: int) -> NoReturn:
    """End with one line about what is wrong."""
    click.echo(f"Error: {' '.join(text.split())}", err=True)
    raise click.exceptions.Exit(code)


def announce(text: str) -> None:
    """Say on stderr what has begun to work; it works also where nobody reads that any more."""
    try:
        click.echo(text, err=True)
    except BrokenPipeError:
        _silence(_STDERR)
    except OSError:  # a full disk, which may have room again later
        pass


def tell(text: str, code: int) -> NoReturn:
    """End with an answer, which goes to stderr where it is not the hoped-for one."""
    click.echo(text, err=code != 0)
    raise click.exceptions.Exit(code)


def _silence(stream: int) -> None:
    """Let nothing more fail that is written there: what is left in Python's buffers is flushed at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


class OneLineGroup(click.Group):
    """Commands whose errors are one line each."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the options."""
        with _one_line_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _one_line_errors():
            return super().invoke(ctx)


@click.group(cls=OneLineGroup)
def queues() -> None:
    """Run workers and look after their queues."""
