"""Laws: what is wrong keeps pods unready and says so; it makes no storm of restarts."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from e2e.harness.kube import CHART, Namespace, is_ready, statuses
from e2e.harness.wait import POD_READY, TASK, eventually

POD = "shop-litestar-queues-worker-default-0"
WATCHED_SECONDS = 20
"""A container that ended at once would be restarted twice in that time: the kubelet waits 10 s, 20 s, 40 s."""
ALONE = {"web": {"enabled": False}, "exporter": {"enabled": False}, "migrations": {"mode": "none"}}


KEYLESS = {"database": {"existingSecret": "keyless"}}


@pytest.mark.parametrize(
    ("values", "where"),
    [
        (KEYLESS, "database.existingSecret"),
        ({"migrations": KEYLESS}, "migrations.database.existingSecret"),
        ({"worker": {"pools": [{"name": "mail", **KEYLESS}]}}, 'database.existingSecret of worker pool "mail"'),
    ],
    ids=["all", "migrations", "pool"],
)
def test_a_secret_without_the_key_is_refused_before_anything_is_made(
    namespace: Namespace, values: dict[str, Any], where: str
) -> None:
    for name, key in (("litestar-queues-database", "url"), ("keyless", "dsn")):
        namespace.kubectl("create", "secret", "generic", name, f"--from-literal={key}=postgresql://nobody@nowhere/none")
    with pytest.raises(AssertionError, match=re.escape(f'"keyless", which {where} names, has no key "url"')):
        namespace.helm("install", "shop", str(CHART), values=values)
    assert namespace.kubectl("get", "all", "--output=name") == ""


def install(shop: Namespace, secret: str, **values: object) -> None:
    """Install without waiting for what cannot become ready."""
    chart = str(CHART)
    more = {**ALONE, "database": {"existingSecret": secret}, **values}
    shop.helm("install", "shop", chart, values=more)


def make_secret(shop: Namespace, url: str) -> None:
    shop.kubectl("create", "secret", "generic", "wrong", f"--from-literal=url={url}")


def test_a_missing_secret_starts_nothing_until_it_is_there(shop: Namespace) -> None:
    install(shop, "later")
    eventually(POD_READY, lambda: reason(shop) == "CreateContainerConfigError")
    time.sleep(10)
    assert reason(shop) == "CreateContainerConfigError"
    assert shop.restarts() == 0
    shop.kubectl(
        *("create", "secret", "generic", "later"), "--from-literal=url=postgresql://queues:demo@postgres:5432/queues"
    )
    eventually(POD_READY, lambda: is_ready(shop.pod(POD)))
    assert shop.restarts() == 0


def reason(shop: Namespace) -> str | None:
    """Why the container waits."""
    pod = shop.pod(POD)
    return next((one.state.waiting.reason for one in statuses(pod) if one.state.waiting), None) if pod else None


def test_a_wrong_password_is_one_clear_line_and_no_storm(shop: Namespace) -> None:
    make_secret(shop, "postgresql://queues:not-this@postgres:5432/queues")
    install(shop, "wrong")
    eventually(TASK, lambda: "password" in log(shop))
    time.sleep(WATCHED_SECONDS)
    assert not is_ready(shop.pod(POD))
    assert shop.restarts() == 0
    text = log(shop)
    assert "not-this" not in text
    assert "Traceback" not in text


def test_an_address_where_nobody_answers_restarts_nothing(shop: Namespace) -> None:
    make_secret(shop, "postgresql://queues:demo@postgres:5433/queues")
    install(shop, "wrong")
    eventually(TASK, lambda: "cannot be reached" in log(shop))
    time.sleep(WATCHED_SECONDS)
    assert not is_ready(shop.pod(POD))
    assert shop.restarts() == 0
    assert "Traceback" not in log(shop)


def log(shop: Namespace) -> str:
    """What the pod says, or said before its last restart."""
    texts = []
    for previous in (True, False):
        try:
            texts.append(shop.logs(POD, previous=previous))
        except AssertionError:
            continue
    return "".join(texts)
