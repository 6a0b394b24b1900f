"""In: minted ids and tokens. Out: their form, their order, and that none comes twice."""

from __future__ import annotations

import time
from uuid import RFC_4122

import pytest

from litestar_queues.ids import new_id, new_token, new_worker_id


def test_ids_are_uuids_of_version_7() -> None:
    minted = new_id()
    assert (minted.version, minted.variant) == (7, RFC_4122)


def test_an_id_holds_the_millisecond_of_its_minting() -> None:
    before = time.time_ns() // 1_000_000
    millis = new_id().int >> 80
    assert before <= millis <= time.time_ns() // 1_000_000 + 1  # ids that were minted in a row run ahead a little


def test_ids_sort_in_the_order_of_their_minting_and_differ() -> None:
    minted = [new_id() for _ in range(10_000)]
    assert minted == sorted(minted)
    assert len(set(minted)) == len(minted)
    assert [str(one) for one in minted] == sorted(str(one) for one in minted)


def test_ids_keep_their_order_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = new_id()
    monkeypatch.setattr("litestar_queues.ids.time.time_ns", lambda: 0)
    assert first < new_id() < new_id()


def test_tokens_are_positive_fit_63_bits_and_differ() -> None:
    tokens = {new_token() for _ in range(1_000)}
    assert len(tokens) == 1_000
    assert all(0 < token < 2**62 for token in tokens)


def test_a_worker_that_comes_back_under_its_name_has_another_id() -> None:
    assert new_worker_id("pod-0").startswith("pod-0:")
    assert new_worker_id("pod-0") != new_worker_id("pod-0")


def test_a_worker_without_a_name_bears_the_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litestar_queues.ids.socket.gethostname", lambda: "node-7")
    assert new_worker_id().startswith("node-7:")
