"""In: failed attempts. Out: delays that grow, stay within their bounds, and survive being stored."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litestar_queues.errors import QueueConfigurationError
from litestar_queues.retry import RetryBackoff

policies = st.builds(
    RetryBackoff,
    initial=st.floats(0, 1e6),
    multiplier=st.floats(1, 1e6),
    max_delay=st.floats(0, 1e9),
    jitter=st.floats(0, 1),
)


def middle() -> float:
    return 0.5


def test_delays_double_from_a_second_up_to_five_minutes() -> None:
    delays = [RetryBackoff().delay(attempt, middle) for attempt in range(1, 11)]
    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]


def test_jitter_varies_a_delay_by_its_share_either_way() -> None:
    policy = RetryBackoff(initial=100, jitter=0.1)
    assert policy.delay(1, lambda: 0.0) == pytest.approx(90)
    assert policy.delay(1, middle) == pytest.approx(100)
    assert policy.delay(1, lambda: 1.0) == pytest.approx(110)


def test_without_being_told_delays_differ() -> None:
    assert len({RetryBackoff().delay(5) for _ in range(20)}) > 1


@given(policy=policies, attempt=st.integers(1, 100_000), share=st.floats(0, 1))
def test_every_delay_is_finite_and_within_its_bounds(policy: RetryBackoff, attempt: int, share: float) -> None:
    delay = policy.delay(attempt, lambda: share)
    assert math.isfinite(delay)
    assert 0 <= delay <= policy.max_delay * (1 + policy.jitter)


@given(policy=policies, attempt=st.integers(1, 2_000))
def test_delays_never_shrink_but_for_jitter(policy: RetryBackoff, attempt: int) -> None:
    assert policy.delay(attempt, middle) <= policy.delay(attempt + 1, middle)


def test_a_growth_beyond_all_numbers_is_the_longest_delay() -> None:
    assert RetryBackoff(multiplier=1000).delay(10_000, middle) == 300
    assert RetryBackoff(initial=0, multiplier=1000).delay(10_000, middle) == 0


@pytest.mark.parametrize("seconds", [0, 0.5, 1000])
def test_a_number_is_that_delay_each_time(seconds: float) -> None:
    policy = RetryBackoff.of(seconds)
    assert {policy.delay(attempt) for attempt in (1, 2, 50)} == {seconds}


def test_none_is_the_default_and_a_policy_is_itself() -> None:
    policy = RetryBackoff(initial=3)
    assert RetryBackoff.of(None) == RetryBackoff()
    assert RetryBackoff.of(policy) is policy


@given(policy=policies)
def test_a_stored_policy_comes_back_as_it_was(policy: RetryBackoff) -> None:
    assert RetryBackoff.from_json(policy.to_json()) == policy


def test_a_policy_of_another_release_is_read_as_far_as_it_is_known() -> None:
    assert RetryBackoff.from_json(b'{"initial":7,"curve":"cubic"}') == RetryBackoff(initial=7)
    assert json.loads(RetryBackoff().to_json()) == {"initial": 1, "multiplier": 2, "max_delay": 300, "jitter": 0.1}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (field, value)
        for field in ("initial", "multiplier", "max_delay", "jitter")
        for value in (-1, math.nan, math.inf, "1", None, True, 10**400)
    ]
    + [("multiplier", 0.5), ("jitter", 1.5)],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(field: str, value: Any) -> None:
    with pytest.raises(QueueConfigurationError, match=rf"^RetryBackoff\.{field}=.* is not accepted: use a number from"):
        RetryBackoff(**{field: value})


@pytest.mark.parametrize("value", [-1, math.nan, "fast", True, []])
def test_a_wrong_option_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(QueueConfigurationError, match=r"^retry_backoff=.* is not accepted"):
        RetryBackoff.of(value)
