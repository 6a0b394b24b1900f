"""In: where an app may be. Out: the app that Litestar would find, or one line that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process.apps import APP
from tests.process.harness import Site

pytestmark = pytest.mark.process

FACTORY = APP.replace("\napp = Litestar(", "\ndef create_app():\n    return Litestar(")
NO_QUEUE = "from litestar import Litestar\n\napp = Litestar()\n"


PLACES = {
    "app.py": APP,
    "application.py": APP,
    "app/__init__.py": APP,
    "app/main.py": APP,
    "app.py with a factory": FACTORY,
}


def test_litestar_finds_the_app(tmp_path: Path) -> None:
    sites = [Site(tmp_path / str(number)) for number in range(len(PLACES))]
    for site, (place, text) in zip(sites, PLACES.items(), strict=True):
        site.write(place.split()[0], text)
    running = [site.queues("status") for site in sites]
    answers = [process.answer() for process in running]
    assert [(answer.code, answer.err) for answer in answers] == [(0, "")] * len(PLACES)
    assert all(answer.out.startswith("Status        Count\n") for answer in answers)


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


def test_no_app_is_one_line_and_exit_code_1(empty_site: Site) -> None:
    for process in [empty_site.queues(command) for command in ("run", "status", "scheduler-health", "migrate")]:
        answer = process.answer()
        assert (answer.code, answer.out) == (1, "")
        assert answer.error_line == (
            "Error: no Litestar app was found: name it by --app module:app or LITESTAR_APP, or call its file app.py"
        )


def test_a_name_that_is_no_app_is_one_line_and_a_fault_of_the_app_has_its_traceback(empty_site: Site) -> None:
    empty_site.write("app.py", APP + "\ndef words():\n    return 'words'\n")
    empty_site.write("broken.py", "raise ValueError('in the app')\n")
    wrong = {
        "app:missing": "module 'app' has no attribute 'missing'",
        "app:words": "'str' object has no attribute 'plugins'",
        ":": "Empty module name",
    }
    processes = [empty_site.start("litestar", "--app", name, "queues", "status") for name in (*wrong, "broken:app")]
    *answers, broken = [process.answer() for process in processes]
    assert [(answer.code, answer.error_line) for answer in answers] == [
        (1, f"Error: {text}: is that the app? Name it by --app module:app or LITESTAR_APP") for text in wrong.values()
    ]
    assert "Traceback" in broken.err
    assert "broken.py" in broken.err


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
