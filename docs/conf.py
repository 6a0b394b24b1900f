"""In: the pages in this folder. Out: how Sphinx makes a site of them, with no look at the network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
if TYPE_CHECKING:
    from sphinx.application import Sphinx

sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]

from litestar_queues.release import release as installed_release  # noqa: E402

project = "litestar-queues"
author = "the litestar-queues contributors"
copyright = f"2026, {author}"  # noqa: A001
version = release = installed_release()

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated", "bars"]
exclude_patterns = ["_build", "_extensions", "examples"]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = True

html_theme = "furo"
# styles of Pygments itself: a search for others would load an entry point of sqlspec 0.69 that cannot be loaded
pygments_style, pygments_dark_style = "friendly", "native"
html_title = "litestar-queues"
html_static_path = ["_static"]
html_css_files = ["site.css"]
smartquotes = False  # options begin with two hyphens
html_copy_source = False
html_show_sourcelink = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autoclass_content = "class"
python_maximum_signature_line_length = 90
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Every reference must lead somewhere, but for those below.
nitpicky = True
nitpick_ignore_regex = [
    # the standard library, and libraries whose sites are not asked while this one is built
    ("py:.*", r"(asyncio|collections|contextlib|dataclasses|datetime|enum|logging|os|pathlib|types|typing|uuid)\..*"),
    ("py:.*", r"(asyncpg|click|litestar|prometheus_client|sqlspec)\..*"),
    ("py:class", r"(Any|Callable|Awaitable|Iterator|Mapping|Sequence|Self|datetime|timedelta|UUID|TracebackType)"),
    ("py:class", "ChannelsPlugin"),
    # type variables, and the options of a task as a type checker sees them: TaskOptions and ScheduleConfig tell them
    ("py:class", r"(.*\.)?(P|R|P\.args|P\.kwargs|TaskKeywords|TaskOverrides)"),
    # inner parts that a signature names and that nobody builds by hand
    ("py:class", r"(.*\.)?(TaskRegistry|TaskSignature|QueueBackend|ExecutionBackend|Claim)"),
    # bounds of histograms and of loops, which are told in words beside
    ("py:data", r"(.*\.)?(MAX_TICKS|WAIT_BOUNDS|DURATION_BOUNDS)"),
    # what is left where a docstring's type has a comma in it
    ("py:class", r"(tuple|Callable)\[.*"),
    ("py:exc", r"(AssertionError|ImportError|TimeoutError|ValueError|ModuleNotFoundError)"),
]


def setup(app: Sphinx) -> None:
    """Keep the texts of fields away from Napoleon, which would take what stands before a colon for a type."""
    kept: dict[str, list[str]] = {}

    def keep(_app: Sphinx, kind: str, name: str, _of: Any, _options: Any, lines: list[str]) -> None:
        if kind in {"attribute", "data", "property"}:
            kept[name] = list(lines)
            lines.clear()

    def give_back(_app: Sphinx, _kind: str, name: str, _of: Any, _options: Any, lines: list[str]) -> None:
        lines[:] = kept.pop(name, lines)

    app.connect("autodoc-process-docstring", keep, priority=400)
    app.connect("autodoc-process-docstring", give_back, priority=600)
