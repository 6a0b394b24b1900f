"""In: the transition table. Out: what must be true of it, whatever is added."""

from __future__ import annotations

import pytest

from litestar_queues.status import LIVE, TERMINAL, TRANSITIONS, TaskStatus


def test_every_state_is_either_live_or_terminal() -> None:
    assert set(TaskStatus) == LIVE | TERMINAL
    assert not LIVE & TERMINAL


def test_every_state_has_its_moves_and_none_leads_to_itself() -> None:
    assert set(TRANSITIONS) == set(TaskStatus)
    assert all(state not in moves for state, moves in TRANSITIONS.items())


@pytest.mark.parametrize("state", sorted(LIVE))
def test_every_live_state_leads_to_running_and_to_an_end(state: TaskStatus) -> None:
    reached, waiting = {state}, [state]
    while waiting:
        for following in TRANSITIONS[waiting.pop()] - reached:
            reached.add(following)
            waiting.append(following)
    assert TaskStatus.RUNNING in reached
    assert reached >= TERMINAL


def test_only_a_claimed_record_completes_or_fails() -> None:
    for end in (TaskStatus.COMPLETED, TaskStatus.FAILED):
        assert [state for state, moves in TRANSITIONS.items() if end in moves] == [TaskStatus.RUNNING]


def test_a_completed_record_stays_so_and_other_ends_lead_back_to_pending_alone() -> None:
    assert TRANSITIONS[TaskStatus.COMPLETED] == frozenset()
    assert TRANSITIONS[TaskStatus.FAILED] == TRANSITIONS[TaskStatus.CANCELLED] == {TaskStatus.PENDING}


@pytest.mark.parametrize("state", TaskStatus)
def test_a_state_is_its_text_and_knows_whether_it_is_an_end(state: TaskStatus) -> None:
    assert f"{state}" == state.value == state
    assert TaskStatus(state.value) is state
    assert state.is_terminal == (state in TERMINAL)
