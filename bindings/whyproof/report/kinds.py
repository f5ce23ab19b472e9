"""Writing the reports of each kind from one store: person, examiner, population."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whyproof.engine.errors import DataError, StoreError
from whyproof.store import Store, utc_now, verify
from whyproof.store.canonical import jsonable
from whyproof.store.export import refuse_overwriting

from .examiner import RETENTION_MONTHS, examiner_record
from .findings import Person, person_of
from .person import person_sheet
from .population import population_of
from .values import listed, number, shown
from .view import Subject
from .wording import Wording

if TYPE_CHECKING:
    from jinja2 import Environment

    from .certificates import PersonCertificates

__all__ = ["people_of", "write_examiner", "write_people", "write_population"]


def people_of(store: Store, rows: Sequence[int] | None = None) -> list[Person]:
    """Collect rows of a store.

    Parameters
    ----------
    store
        Open store.
    rows
        Row numbers; all if not given.

    Raises
    ------
    DataError
        If the store holds none, or lacks one that was asked for.
    """
    subject, changes = Subject(store.identity), store.counterfactuals()
    known = {row.row: row for row in store.rows()}
    if not known:
        raise DataError(f"the store {store.path} holds no rows to report on")
    for number_ in rows or ():
        if number_ not in known:
            raise DataError(f"the store {store.path} holds no row {number_}")
    wanted = known if rows is None else {n: known[n] for n in rows}
    return [person_of(store, subject, row, changes) for row in wanted.values()]


def write_people(
    store: Store,
    folder: str | Path,
    rows: Sequence[int] | None = None,
    *,
    wording: Wording | None = None,
    certificates: PersonCertificates | None = None,
) -> list[Path]:
    """Write one sheet per person, as HTML and JSON, with a certificate beside it.

    Parameters
    ----------
    store
        Open store.
    folder
        Where to; made if it is not there.
    rows
        Row numbers; all if not given.
    wording
        How factors are called.
    certificates
        Makes the certificates; without it there are none.

    Returns
    -------
    list of Path
        The HTML files.
    """
    folder, wording = Path(folder), wording or Wording()
    people = [p for p in people_of(store, rows) if p.values]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {folder}: {error.strerror or error}") from error
    head, written = store.head(), list[Path]()
    template = _environment().get_template("person.html.j2")
    for person in people:
        name = f"person-{person.stored.row:06d}"
        sheet = person_sheet(person, wording)
        if certificates is not None:
            file = folder / f"{name}.certificate.json"
            made = certificates.add(person, [r.used for r in sheet.reasons], file)
            if made:
                sheet = person_sheet(person, wording, file.name)
        path = folder / f"{name}.html"
        page = template.render(
            sheet=sheet, person=person, store=store.path.name, head=head, generated=utc_now()
        )
        _write(store, path, page)
        _write(store, folder / f"{name}.json", _json(sheet.as_json()))
        written.append(path)
    if certificates is not None:
        certificates.finish()
    return written


def write_examiner(
    store: Store,
    path: str | Path,
    rows: Sequence[int] | None = None,
    *,
    protected: Sequence[str] = (),
    months: int = RETENTION_MONTHS,
    reviewer: str = "",
) -> Path:
    """Write the examiner's record as HTML, and as JSON beside it; see `examiner_record`."""
    path, people = Path(path), people_of(store, rows)
    record = examiner_record(
        store, people, verify(store), protected=protected, months=months, reviewer=reviewer
    )
    page = _environment().get_template("examiner.html.j2").render(record=record, people=people)
    _write(store, path, page)
    _write(store, path.with_suffix(".json"), _json(record))
    return path


def write_population(
    store: Store,
    path: str | Path,
    rows: Sequence[int] | None = None,
    *,
    protected: Sequence[str] = (),
) -> Path:
    """Write the page about the population as HTML, and as JSON beside it."""
    path, people = Path(path), people_of(store, rows)
    population = population_of(store, people, verify(store), protected)
    template = _environment().get_template("population.html.j2")
    _write(store, path, template.render(population=population, generated=utc_now()))
    _write(store, path.with_suffix(".json"), _json(population.as_json()))
    return path


def _json(value: object) -> str:
    return json.dumps(jsonable(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _write(store: Store, path: Path, text: str) -> None:
    """Write a file, all of it or nothing."""
    refuse_overwriting(store, path)
    passing = path.with_name(f".{path.name}.new")
    try:
        passing.write_text(text, encoding="utf-8")
        passing.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        passing.unlink(missing_ok=True)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    from markupsafe import Markup

    shared: Any = environment.globals
    shared["style"] = lambda name: Markup(_source(name))
    environment.filters.update(
        {"shown": shown, "number": number, "listed": listed, "short": lambda text: str(text)[:12]}
    )
    return environment


def _source(name: str) -> str:
    return resources.files(__package__ or "whyproof.report").joinpath(name).read_text("utf-8")
