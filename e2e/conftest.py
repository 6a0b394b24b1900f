"""In: a cluster. Out: a namespace for each test; its logs and events are kept when the test fails."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client, config

from e2e.harness.kube import Namespace

ARTIFACTS = Path(__file__).parents[1] / "build/e2e"
TEST_SECONDS = 600
FIGURES = pytest.StashKey[list[str]]()
AHEAD = pytest.StashKey[dict[str, Namespace]]()
"""The namespace of the next test: its database starts while this one runs, which saves ten seconds a test."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep", action="store_true", help="leave the namespaces of failed tests in the cluster")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []
    config.stash[AHEAD] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(TEST_SECONDS))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash[FIGURES]:
        terminalreporter.write_line(f"measured: {line}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed:
        item.user_properties.append(("failed", report.longreprtext))
    return report


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[None]:
    """Reach the cluster, or say that there is none."""
    for tool in ("kubectl", "helm"):
        if shutil.which(tool) is None:
            pytest.exit(f"{tool} is not on PATH; e2e/README.md says what the cluster tests need", 1)
    try:
        config.load_kube_config()
        client.VersionApi().get_code(_request_timeout=10)
    except Exception as error:
        where = os.environ.get("KUBECONFIG", "~/.kube/config")
        pytest.exit(f"the cluster of {where} does not answer: {error}. e2e/README.md says how to get one.", 1)
    yield
    for space in pytestconfig.stash[AHEAD].values():  # the run was cut short
        client.CoreV1Api().delete_namespace(space.name)


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> list[str]:
    """Lines that are printed at the end of the run."""
    return request.config.stash[FIGURES]


@pytest.fixture
def namespace(cluster: None, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A fresh namespace that enforces `restricted`."""
    space = request.config.stash[AHEAD].pop(request.node.nodeid, None) or made(request.node)
    core = client.CoreV1Api()
    if not wants_database(request.node):
        make_next(request.node)
    try:
        yield space
    finally:
        failed = [text for key, text in request.node.user_properties if key == "failed"]
        if failed:
            folder = ARTIFACTS / short_name(request.node)
            space.save(folder)
            (folder / "failure.txt").write_text("\n".join(failed))
        if not (failed and request.config.getoption("--keep")):
            space.kubectl("delete", "pods", "--all", "--grace-period=1", "--wait=false")
            core.delete_namespace(space.name)


@pytest.fixture
def shop(namespace: Namespace, request: pytest.FixtureRequest) -> Namespace:
    """A namespace with a database in it, for a release named `shop`."""
    namespace.await_database()
    make_next(request.node)
    return namespace


def make_next(item: pytest.Item) -> None:
    """Make the namespace of the test that follows."""
    items = item.session.items
    following = items[items.index(item) + 1 :][:1]
    item.config.stash[AHEAD].update({one.nodeid: made(one) for one in following})


def made(item: pytest.Item) -> Namespace:
    """The namespace of a test; where it wants a database, that begins to start."""
    name = f"e2e-{short_name(item)}-{uuid.uuid4().hex[:5]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "litestar-queues/e2e": "true"}
    client.CoreV1Api().create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name, labels=labels)))
    space = Namespace(name)
    if wants_database(item):
        space.start_database()
    return space


def wants_database(item: pytest.Item) -> bool:
    """Whether the test has one."""
    return "shop" in getattr(item, "fixturenames", ())


def short_name(item: pytest.Item) -> str:
    """Its name, as Kubernetes bears it."""
    return re.sub(r"[^a-z0-9]+", "-", item.name.removeprefix("test_"))[:40].strip("-")
