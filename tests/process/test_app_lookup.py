"""In: where an app may be. Out: the app that Litestar would find, or one line that says what to do."""

from __future__ import annotations

import pytest

from tests.process.harness import APP, Site

pytestmark = pytest.mark.process

FACTORY = APP.replace("\napp = Litestar(", "\ndef create_app():\n    return Litestar(")
NO_QUEUE = "from litestar import Litestar\n\napp = Litestar()\n"


@pytest.mark.parametrize(
    ("path", "text"),
    [("app.py", APP), ("application.py", APP), ("app/__init__.py", APP), ("app.py", FACTORY), ("app/main.py", APP)],
    ids=["app.py", "application.py", "package", "factory", "module of a package"],
)
def test_litestar_finds_the_app(empty_site: Site, path: str, text: str) -> None:
    empty_site.write(path, text)
    if path == "app/main.py":
        empty_site.write("app/__init__.py", "")
    answer = empty_site.queues("status").answer()
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("Status        Count\n")


def test_asgi_py_is_found_only_by_name(empty_site: Site) -> None:
    empty_site.write("asgi.py", APP)
    empty_site.write("factories.py", FACTORY)
    found = [
        empty_site.queues("status", env={"LITESTAR_APP": "asgi:app"}),
        empty_site.start("litestar", "--app", "asgi:app", "queues", "status"),
        empty_site.start("litestar", "--app", "factories:create_app", "queues", "status"),
        empty_site.start("litestar", "--app", "asgi:app", "queues", "status", env={"LITESTAR_APP": "no:such"}),
    ]
    lost = empty_site.queues("status")
    assert [process.ends() for process in found] == [0] * 4
    assert lost.answer().code == 1  # the day this fails, Litestar finds it: tell so in the docs


@pytest.mark.parametrize("command", ["run", "status", "scheduler-health", "migrate"])
def test_no_app_is_one_line_and_exit_code_1(empty_site: Site, command: str) -> None:
    answer = empty_site.queues(command).answer()
    assert (answer.code, answer.out) == (1, "")
    assert answer.error_line == (
        "Error: no Litestar app was found: name it by --app module:app or LITESTAR_APP, or call its file app.py"
    )


def test_an_app_without_the_plugin_is_one_line_and_exit_code_1(empty_site: Site) -> None:
    empty_site.write("app.py", NO_QUEUE)
    for process in [empty_site.queues(command) for command in ("run", "status")]:
        answer = process.answer()
        assert (answer.code, answer.out) == (1, "")
        assert answer.error_line == (
            "Error: the app app:app has no queue: give it plugins=[QueuePlugin()] from litestar_queues"
        )


def test_help_needs_no_app(empty_site: Site) -> None:
    answer = empty_site.queues("--help").answer()
    assert answer.code == 0
    assert all(command in answer.out for command in ("run", "status", "scheduler-health", "migrate"))
