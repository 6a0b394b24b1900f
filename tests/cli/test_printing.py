"""In: texts of records that another release stored. Out: nothing on the terminal tells a password."""

from __future__ import annotations

from litestar_queues.cli.printing import plain_lines, table, to_json

TEXT = "OSError: postgresql://shop:hunter2@db/shop refused\nhost=db password=hunter2"


def test_what_is_printed_tells_no_password() -> None:
    printed = [*plain_lines(TEXT), table(["Error"], [[TEXT]]), to_json({"error": TEXT})]
    assert [text for text in printed if "hunter2" in text] == []
    assert "postgresql://shop:***@db/shop" in printed[0]
