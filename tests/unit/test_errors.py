"""In: the exceptions. Out: one tree, drawn as it is, that callers may catch at any height."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from litestar_queues import errors
from litestar_queues.errors import (
    InvalidArgumentError,
    MissingDependencyError,
    NonRetryableError,
    QueueConfigurationError,
    QueueError,
    non_retryable,
)

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, QueueError)]


def drawn_parents() -> dict[str, str]:
    """Each class and its parent, as the drawing in the module's docstring has them."""
    parents: dict[str, str] = {}
    above = {0: "QueueError"}
    for line in inspect.getdoc(errors).splitlines():  # type: ignore[union-attr]
        if found := re.match(r"^([ │├└─]+ )(\w+Error)\b", line.removeprefix("    ")):
            depth = len(found[1]) // 4
            parents[found[2]] = above[depth - 1]
            above[depth] = found[2]
    return parents


def test_the_tree_is_drawn_as_it_is() -> None:
    bases = {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES if kind is not QueueError}
    assert drawn_parents() == bases


def test_every_error_is_public() -> None:
    assert sorted([*(kind.__name__ for kind in CLASSES), "non_retryable"]) == list(errors.__all__)


@pytest.mark.parametrize("kind", CLASSES)
def test_without_a_message_an_error_says_what_its_class_means(kind: type[QueueError]) -> None:
    assert str(kind()) == kind.__doc__
    assert str(kind("the disk is full")) == "the disk is full"


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_survives_the_way_to_another_process(kind: type[QueueError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("the disk is full")))
    assert (type(copy), str(copy)) == (kind, "the disk is full")


@pytest.mark.parametrize(
    ("kind", "builtin"), [(MissingDependencyError, ImportError), (InvalidArgumentError, ValueError)]
)
def test_an_error_is_also_the_builtin_that_callers_expect(kind: type[QueueError], builtin: type[Exception]) -> None:
    assert issubclass(kind, builtin)
    assert not issubclass(QueueConfigurationError, builtin)


def test_non_retryable_fails_the_task_with_the_message() -> None:
    with pytest.raises(NonRetryableError, match=r"^the card has expired$"):
        non_retryable("the card has expired")
