"""Laws: the schema is there before anybody needs it, and an older one becomes the present one."""

from __future__ import annotations

from e2e.harness.kube import ROOT, Namespace
from e2e.harness.wait import TASK, eventually

MIGRATIONS = sorted((ROOT / "litestar_queues/backends/migrations_postgres").glob("*.sql"))


def test_the_hook_brings_the_schema_before_to_the_present_one(shop: Namespace) -> None:
    for number, file in enumerate(MIGRATIONS[:-1], 1):
        shop.sql(file.read_text())
        shop.sql(f"insert into lq_schema (version, name) values ({number}, '{file.stem}')")
    shop.install()
    works(shop)


def test_pods_wait_for_a_plain_job_and_are_not_restarted(shop: Namespace) -> None:
    shop.install(migrations={"mode": "job"})
    works(shop)


def works(shop: Namespace) -> None:
    """All migrations are applied, a task is done, nothing was restarted."""
    assert shop.sql("select max(version) from lq_schema") == [[len(MIGRATIONS)]]
    with shop.web() as web:
        [record] = web.enqueue("fast")
        eventually(TASK, lambda: web.task(record)["status"] == "completed")
    assert [shop.restarts(component) for component in ("web", "worker", "exporter")] == [0, 0, 0]
