"""In: the SQL of the page on PostgreSQL. Out: owner, app and reader of a schema, with the rights that it gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import psycopg

from litestar_queues.backends.postgres.schema import ddl
from litestar_queues.backends.postgres.statements import Statements
from tests.postgres.server import Server

__all__ = ("Roles", "make_roles", "make_tables", "plain")

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "postgresql.md"


class Roles(NamedTuple):
    """Urls, one for each."""

    owner: str
    app: str
    reader: str


def make_roles(server: Server, schema: str, driver: str) -> Roles:
    """Make the schema and its roles by what the page says."""
    names = {f"queue_{one}": f"{one}_{schema}" for one in Roles._fields} | {"jobs": schema}
    (block,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    with psycopg.connect(plain(server.url())) as root:
        root.execute(re.sub(r"\b(jobs|queue_[a-z]+)\b", lambda found: names[found[0]], block).encode())
    return Roles(*(server.url(driver).replace("//postgres@", f"//{one}_{schema}@") for one in Roles._fields))


def make_tables(owner: str, prefix: str) -> None:
    """Run what ``migrate --sql`` prints as the owner, who may make no schema: there is one."""
    sql = Statements(prefix)
    with psycopg.connect(plain(owner)) as connection:
        connection.execute(ddl(sql).replace(f"create schema if not exists {sql.schema};", "").encode())


def plain(url: str) -> str:
    """The url without a driver's name."""
    return re.sub(r"^postgresql\+\w+", "postgresql", url)
