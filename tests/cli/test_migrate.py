"""In: ``migrate --json``. Out: the names of what was applied, or is lacking; exit codes as without it."""

from __future__ import annotations

from tests.cli.desk import Desk


def test_what_is_lacking_and_what_was_applied_are_told_by_their_names(desk: Desk) -> None:
    before = desk.types("migrate", "--check", "--json")
    pending = desk.reads("migrate", "--check")["pending"]
    assert (before.exit_code, before.stderr) == (1, "")
    assert pending[0].startswith("0001_")
    assert desk.reads("migrate") == {"applied": pending}
    assert desk.reads("migrate") == {"applied": []}
    assert desk.sees("migrate", "--check", "--json") == '{"pending":[]}\n'
    assert desk.sees("migrate", "--check") == "the schema is up to date\n"
    assert desk.refused("migrate", "--sql", "--json")[0] == 2
