"""In: what workers tell of themselves. Out: commits that wait for no disk, since a whole fleet adds to one row."""

from __future__ import annotations

from typing import Any

from litestar_queues.backends.postgres import PostgresBackend
from tests.builders import make_report, make_tally
from tests.contract.laws import enqueue

NOTE = """
create table noted (what text, synchronous text);
create function note() returns trigger language plpgsql as $$
begin
    insert into noted values (tg_table_name, current_setting('synchronous_commit'));
    return null;
end $$;
create trigger note after insert or update on lq_tally execute function note();
create trigger note after insert on lq_live execute function note();
"""


async def test_only_the_commit_of_a_report_waits_for_no_flush(backend: PostgresBackend, admin: Any) -> None:
    await admin.execute(NOTE.replace("note()", f"{backend._sql.schema}.note()"))
    await admin.execute(f"alter function note() set search_path = {backend._sql.schema}")
    await backend.report_worker(make_report(), lease=60, tallies=[make_tally(completed=1)])
    await enqueue(backend)
    await backend.report_worker(make_report(), lease=60, tallies=[make_tally(completed=1)])
    noted = {tuple(row) for row in await admin.fetch("select what, synchronous from noted")}
    assert noted == {("lq_tally", "off"), ("lq_live", "on")}
