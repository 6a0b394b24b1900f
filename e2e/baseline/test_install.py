"""Laws: what a new user does first works."""

from __future__ import annotations

from urllib.request import urlopen

import pytest

from e2e.harness.kube import NAME, Namespace, ready_after
from e2e.harness.wait import SCRAPE, TASK, eventually

RECORDS = 200


@pytest.mark.each_change
def test_the_web_app_enqueues_and_workers_finish(shop: Namespace, measured: list[str]) -> None:
    shop.install(worker={"replicas": 2})
    with shop.web() as web:
        records = web.enqueue("fast", count=RECORDS)
        [failing] = web.enqueue("failing")
        eventually(TASK, lambda: web.task(failing)["status"] == "failed")
        eventually(TASK, lambda: all(web.task(record)["status"] == "completed" for record in (records[0], records[-1])))
    eventually(TASK, lambda: shop.sql("select count(*) from lq_done where task like '%fast'") == [[RECORDS]])
    seconds = [ready_after(pod) for pod in shop.pods().values()]
    measured.append(f"pods ready {', '.join(f'{one:g} s' for one in seconds)} after container start")
    assert shop.restarts() == 0

    shop.helm("test", "shop", "--timeout", "170s")

    with shop.forward(f"svc/{NAME}-exporter", 9464) as url:
        ended = eventually(SCRAPE, lambda: scrape(url, 'litestar_queues_tasks_ended{status="failed"} 1.0'))
    assert "litestar_queues_up 1.0" in ended
    assert 'litestar_queues_tasks{queue="default",status="pending"} 0.0' in ended
    pod = next(iter(shop.pods()))
    with shop.forward(f"pod/{pod}", 8080) as url:
        assert "litestar_queues_tasks_finished_total" in scrape(url, "")


def test_a_secret_with_a_user_and_a_password_alone_will_do(shop: Namespace) -> None:
    shop.kubectl(
        "create", "secret", "generic", "parts", "--from-literal=username=queues", "--from-literal=password=demo"
    )
    parts = {"existingSecret": "parts", "url": "postgresql://postgres:5432/queues"}
    shop.install(database=parts, web={"enabled": False})
    shop.helm("test", "shop", "--timeout", "170s")


def scrape(url: str, line: str) -> str:
    with urlopen(f"{url}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    assert line in text, text
    return text
