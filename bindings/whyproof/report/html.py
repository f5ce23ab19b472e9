"""Setting reports and single explanations as HTML: one file each, nothing fetched."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whyproof.engine.errors import StoreError
from whyproof.engine.explanation import Explanation
from whyproof.store import Store, utc_now
from whyproof.store.export import refuse_overwriting

from . import charts, images, words
from .page import page_of
from .values import few, listed, number, shown
from .view import view_of

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["explanation_html", "page_environment", "report_html", "write_report"]

# Private-use characters mark what is stressed until the text has been escaped.
_OPEN, _CLOSE = "\ue000", "\ue001"


def report_html(
    store: Store, *, show: int = 8, sections: int = 100, title: str | None = None
) -> str:
    """Return the report of a store as one self-contained HTML page.

    Parameters
    ----------
    store
        Open store.
    show
        Most AXps and most CXps written out per row.
    sections
        Most rows written out; all are counted.
    title
        Heading.
    """
    page = page_of(store, show, sections)
    template = page_environment().get_template("page.html.j2")
    return template.render(page=page, title=title, generated=utc_now(), show=show)


def write_report(
    store: Store,
    path: str | Path,
    *,
    show: int = 8,
    sections: int = 100,
    title: str | None = None,
) -> Path:
    """Write the report of a store to a file; all of it or nothing.

    Parameters are those of `report_html`.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    path = Path(path)
    refuse_overwriting(store, path)
    text = report_html(store, show=show, sections=sections, title=title)
    passing = path.with_name(f".{path.name}.new")
    try:
        passing.write_text(text, encoding="utf-8")
        passing.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        passing.unlink(missing_ok=True)
    return path


def explanation_html(explanation: Explanation) -> str:
    """Return one explanation as an HTML fragment with its own style, for notebooks."""
    template = page_environment().get_template("explanation.html.j2")
    return template.render(view=view_of(explanation), explanation=explanation)


@cache
def page_environment() -> Environment:
    """Return what templates of pages are set with."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    helpers: dict[str, Callable[..., object]] = {
        "share_bar": lambda share: _safe(charts.share_bar(share)),
        "histogram": lambda counts, kind: _safe(charts.histogram(counts, kind)),
        "sentence": lambda view: _marked(words.sentence(view, _strong)),
        "guarantee": words.guarantee,
        "explanation_image": lambda view: _safe(images.explanation_image(view)),
        "is_image": images.is_image,
        "heat_image": lambda *about: _safe(images.heat_image(*about)),
        "caveat": words.caveat,
        "style": lambda name: _safe(_source(name)),
    }
    filters: dict[str, Callable[..., object]] = {
        "number": number,
        "shown": shown,
        "listed": listed,
        "few": few,
        "thousands": lambda count: f"{count:,}".replace(",", "\u2009"),
    }
    shared: Any = environment.globals
    shared.update(helpers)
    environment.filters.update(filters)
    return environment


def _source(name: str) -> str:
    return resources.files(__package__ or "whyproof.report").joinpath(name).read_text("utf-8")


def _strong(text: str) -> str:
    return f"{_OPEN}{text}{_CLOSE}"


def _marked(text: str) -> Markup:
    from markupsafe import Markup, escape

    whole = str(escape(text)).replace(" = ", "\u00a0=\u00a0")
    return Markup(whole.replace(_OPEN, "<b>").replace(_CLOSE, "</b>"))


def _safe(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)
