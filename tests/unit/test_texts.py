"""In: text that anybody may have chosen. Out: text that forges no line, steers no terminal and tells no password."""

from __future__ import annotations

import logging

import pytest

from litestar_queues.logs import worker_log
from litestar_queues.texts import one_line, without_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://app:s3cret@db.example/app", "postgresql://app:***@db.example/app"),
        ("amqp://:s3cret@one,redis://u:s3cret@two", "amqp://:***@one,redis://u:***@two"),
        ("u://a:s3c:ret@b and https://docs.example/a:b", "u://a:***@b and https://docs.example/a:b"),
        ("host=db password=s3cret dbname=app", "host=db password=*** dbname=app"),
        ("db?user=app&Password=s3cret&x=1", "db?user=app&Password=***&x=1"),
        ("no password was given", "no password was given"),
        ("mail ada@example.org at 10:30", "mail ada@example.org at 10:30"),
        ("http://ada@example.org", "http://ada@example.org"),
    ],
)
def test_passwords_of_addresses_are_not_shown(text: str, shown: str) -> None:
    assert without_passwords(text) == one_line(text) == shown


def test_a_line_is_cut_where_it_is_very_long() -> None:
    assert one_line("x" * 1_000_000) == f"{'x' * 4_000} ..."


def test_a_megabyte_of_starts_of_addresses_is_read_at_once() -> None:
    for part in ("://a:", "password=", "://:@", "a://b:c", "://", "assword="):
        assert without_passwords(part * 200_000).startswith(part[:3])


def test_no_log_line_of_ours_tells_a_password(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        worker_log.warning("the store is gone: %s", OSError("postgresql://app:s3cret@db\nforged"))
    assert caplog.messages == ["the store is gone: postgresql://app:***@db\\nforged"]
