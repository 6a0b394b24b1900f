"""In: how often a property is tried as a rule. Out: its settings, for `make test` and for `make test-model`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

__all__ = ("IS_DEEP", "examples")

IS_DEEP = settings.get_current_profile_name() == "deep"
"""Chosen by ``--hypothesis-profile deep``."""


def examples(plain: int, deep: int, *, steps: int = 25) -> settings:
    """Try ``plain`` examples, always the same ones; in depth ``deep`` others each time.

    Args:
        plain: For `make test`, which is to be quick and to say the same each time.
        deep: For `make test-model`, which prints its seed.
        steps: Of each history of a state machine.
    """
    return settings(
        max_examples=deep if IS_DEEP else plain,
        stateful_step_count=steps * 2 if IS_DEEP else steps,
        derandomize=not IS_DEEP,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
