"""In: packages on disk. Out: their task modules imported, once, and the names of all that is registered."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from litestar_queues import registry
from litestar_queues.discovery import discover_tasks, load_task_modules
from litestar_queues.errors import InvalidArgumentError, QueueConfigurationError
from litestar_queues.registry import TaskRegistry, clear_task_registry, get_task_registry, task

TASK = "from litestar_queues.registry import task\n@task('{name}')\ndef run(): ...\n"


class Shop:
    """A package named ``shop`` that a test fills."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("shop/__init__.py")

    def write(self, path: str, source: str = "") -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)

    def add_task(self, path: str, name: str) -> None:
        self.write(path, TASK.format(name=name))

    def package(self, *paths: str) -> None:
        for path in paths:
            self.write(f"{path}/__init__.py")

    def loaded(self) -> set[str]:
        return {name for name in sys.modules if name.partition(".")[0] == "shop"}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """An empty package on the import path, and a registry of its own."""
    monkeypatch.setattr(registry, "_registry", TaskRegistry())
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file is written twice within one tick of its time stamp
    monkeypatch.syspath_prepend(tmp_path)
    made = Shop(tmp_path)
    yield made
    for name in made.loaded():
        del sys.modules[name]


# discover_tasks


def test_the_answer_is_the_names_of_the_registry_sorted_and_once_each(shop: Shop) -> None:
    task("already.there")(lambda: None)
    shop.package("shop/mail")
    shop.add_task("shop/mail/jobs.py", "mail.send")
    shop.write("shop/mail/again.py", "from shop.mail.jobs import run\n")
    shop.package("shop/billing", "shop/billing/jobs")
    shop.add_task("shop/billing/jobs/invoice.py", "billing.invoice")
    names = ("already.there", "billing.invoice", "mail.send")
    assert discover_tasks("shop") == names == get_task_registry().names()
    assert discover_tasks("shop") == names


def test_only_modules_behind_the_segment_are_imported_and_what_they_lie_in(shop: Shop) -> None:
    shop.package("shop/domain", "shop/domain/a", "shop/domain/a/jobs", "shop/domain/a/jobs/deep", "shop/domain/b")
    shop.write("shop/domain/a/jobs/deep/er.py")
    shop.write("shop/domain/a/jobs_old.py", "raise RuntimeError('imported')")
    shop.write("shop/domain/a/models.py", "raise RuntimeError('imported')")
    shop.write("shop/domain/b/views.py", "raise RuntimeError('imported')")
    shop.write("shop/domain/c.py", "raise RuntimeError('imported')")
    discover_tasks("shop.domain")
    assert shop.loaded() == {
        *("shop", "shop.domain", "shop.domain.a", "shop.domain.a.jobs"),
        *("shop.domain.a.jobs.deep", "shop.domain.a.jobs.deep.er"),
    }


def test_the_root_itself_does_not_count_as_the_segment(shop: Shop) -> None:
    shop.package("shop/jobs")
    shop.write("shop/jobs/views.py", "raise RuntimeError('imported')")
    shop.add_task("shop/jobs/jobs.py", "send")
    assert discover_tasks("shop.jobs") == ("send",)


def test_another_segment_may_mark_task_modules(shop: Shop) -> None:
    shop.package("shop/mail")
    shop.add_task("shop/mail/tasks.py", "send")
    shop.write("shop/mail/jobs.py", "raise RuntimeError('imported')")
    assert discover_tasks("shop", "tasks") == discover_tasks("shop", subpackage="tasks") == ("send",)


def test_folders_without_an_init_file_are_packages_too(shop: Shop) -> None:
    shop.add_task("shop/mail/jobs/send.py", "send")
    shop.add_task("shop/mail/jobs/deep/er.py", "send.deeper")
    shop.add_task("shop/__pycache__/jobs/old.py", "old")
    shop.add_task("shop/node_modules/jobs/web.py", "web")
    shop.add_task("shop/not-a-name/jobs/odd.py", "odd")
    shop.write("shop/__main__.py", "raise RuntimeError('imported')")
    shop.write("shop/jobs/__main__.py", "raise RuntimeError('imported')")
    assert discover_tasks("shop") == ("send", "send.deeper")


def test_a_namespace_package_may_lie_in_several_places(
    shop: Shop, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop.folder / "shop/__init__.py").unlink()
    shop.add_task("shop/mail/jobs.py", "here")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "shop/bill").mkdir(parents=True)
    (elsewhere / "shop/bill/jobs.py").write_text(TASK.format(name="there"))
    monkeypatch.syspath_prepend(elsewhere)
    assert discover_tasks("shop") == ("here", "there")


@pytest.mark.parametrize("package", ["nowhere", "shop.nowhere", "shop.plain.inner", "", ".shop", "shop.", "a b"])
def test_a_package_that_is_not_there_is_module_not_found(shop: Shop, package: str) -> None:
    shop.write("shop/plain.py")
    with pytest.raises(ModuleNotFoundError):
        discover_tasks(package)


def test_a_plain_module_is_module_not_found_and_the_text_says_why(shop: Shop) -> None:
    shop.write("shop/plain.py")
    with pytest.raises(ModuleNotFoundError, match=r"^'shop.plain' is a plain module, not a package: name the package"):
        discover_tasks("shop.plain")


@pytest.mark.parametrize("subpackage", ["", "a.b", "not a name", "jobs\0"])
def test_what_cannot_be_a_segment_is_refused(shop: Shop, subpackage: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"subpackage=.* is not accepted: use one segment"):
        discover_tasks("shop", subpackage)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("raise RuntimeError('no key')", RuntimeError),
        ("import nowhere_at_all", ModuleNotFoundError),
        ("def run(:", SyntaxError),
    ],
)
def test_a_task_module_that_cannot_be_imported_says_so_itself(shop: Shop, source: str, error: type[Exception]) -> None:
    shop.package("shop/mail")
    shop.write("shop/mail/jobs.py", source)
    with pytest.raises(error) as refusal:
        discover_tasks("shop")
    assert "shop.mail" not in str(refusal.value)


def test_modules_run_once_unless_told_to_run_again(shop: Shop) -> None:
    shop.package("shop/mail")
    shop.add_task("shop/mail/jobs.py", "before")
    assert discover_tasks("shop") == ("before",)
    clear_task_registry()
    shop.add_task("shop/mail/jobs.py", "after")
    assert discover_tasks("shop") == ()
    assert discover_tasks("shop", force_reload=True) == ("after",)


def test_running_modules_again_meets_no_name_twice_and_inner_ones_come_first(shop: Shop) -> None:
    shop.write("shop/jobs/__init__.py", "from shop.jobs.send import run, VALUE\n")
    shop.write("shop/jobs/send.py", TASK.format(name="send") + "VALUE = 1\n")
    discover_tasks("shop")
    first = get_task_registry().require("send")
    shop.write("shop/jobs/send.py", "\n\n" + TASK.format(name="send") + "VALUE = 2\n")
    shop.add_task("shop/jobs/new.py", "new")
    assert discover_tasks("shop", force_reload=True) == ("new", "send")
    assert get_task_registry().require("send") is not first
    assert sys.modules["shop.jobs"].VALUE == 2


# load_task_modules


def test_modules_are_loaded_by_name_and_packages_with_all_they_hold(shop: Shop) -> None:
    shop.add_task("shop/plain.py", "plain")
    shop.package("shop/tasks")
    shop.add_task("shop/tasks/inner.py", "inner")
    shop.add_task("shop/tasks/deep/er.py", "deeper")
    assert load_task_modules(["shop.plain", "shop.tasks", "shop.plain"]) == 4
    assert get_task_registry().names() == ("deeper", "inner", "plain")
    assert load_task_modules("shop.plain") == 1
    assert load_task_modules(()) == 0


def test_loaded_modules_run_again_where_told(shop: Shop) -> None:
    shop.add_task("shop/plain.py", "before")
    load_task_modules(["shop.plain"])
    shop.add_task("shop/plain.py", "after")
    load_task_modules(["shop.plain"])
    assert get_task_registry().names() == ("before",)
    load_task_modules(["shop.plain"], force_reload=True)
    assert get_task_registry().names() == ("after", "before")


@pytest.mark.parametrize("name", ["nowhere", "shop.nowhere", "shop.plain.inner", "", ".shop", "a/b.py", "a\0b"])
def test_a_module_that_cannot_be_found_is_a_wrong_setting(shop: Shop, name: str) -> None:
    shop.write("shop/plain.py")
    with pytest.raises(QueueConfigurationError) as refusal:
        load_task_modules([name])
    assert f"the task module {name!r} cannot be found (" in str(refusal.value)
    assert str(refusal.value).endswith("): correct QueueConfig.task_modules, or the import path")


def test_a_module_that_misses_another_one_says_so_itself(shop: Shop) -> None:
    shop.write("shop/plain.py", "import nowhere_at_all")
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        load_task_modules(["shop.plain"])
