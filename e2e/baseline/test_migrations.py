"""Laws: the schema is there before anybody needs it, and an older one becomes the present one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from e2e.harness.kube import CHART, ROOT, Namespace, is_ready, statuses
from e2e.harness.wait import POD_READY, TASK, eventually

POD = "shop-litestar-queues-worker-default-0"
MIGRATIONS = sorted((ROOT / "litestar_queues/backends/migrations_postgres").glob("*.sql"))


def test_the_hook_brings_the_schema_before_to_the_present_one(shop: Namespace) -> None:
    migrate(shop, MIGRATIONS[:-1])
    shop.install()
    works(shop)


def test_pods_wait_for_a_plain_job_and_are_not_restarted(shop: Namespace) -> None:
    shop.install(migrations={"mode": "job"})
    works(shop)


def test_a_pod_that_is_older_than_the_schema_says_so_where_kubernetes_shows_it(shop: Namespace) -> None:
    migrate(shop, MIGRATIONS)
    shop.sql("insert into lq_schema (version, name) values (99, 'later')")
    alone = {"web": {"enabled": False}, "exporter": {"enabled": False}, "migrations": {"mode": "none"}}
    shop.helm("install", "shop", str(CHART), values=alone)
    eventually(POD_READY, lambda: shop.restarts() > 0)
    ended = statuses(shop.pod(POD))[0].last_state.terminated
    assert ended.exit_code == 1
    assert "have schema version 99" in ended.message
    assert not is_ready(shop.pod(POD))


def migrate(shop: Namespace, files: Sequence[Path]) -> None:
    """Bring the schema to where an earlier release had it."""
    for number, file in enumerate(files, 1):
        shop.sql(file.read_text())
        shop.sql(f"insert into lq_schema (version, name) values ({number}, '{file.stem}')")


def works(shop: Namespace) -> None:
    """All migrations are applied, a task is done, nothing was restarted."""
    assert shop.sql("select max(version) from lq_schema") == [[len(MIGRATIONS)]]
    with shop.web() as web:
        [record] = web.enqueue("fast")
        eventually(TASK, lambda: web.task(record)["status"] == "completed")
    assert [shop.restarts(component) for component in ("web", "worker", "exporter")] == [0, 0, 0]
