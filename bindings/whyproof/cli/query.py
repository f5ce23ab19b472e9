"""``whyproof query`` and ``whyproof cover``: questions about explanations."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from whyproof.engine.errors import InputError

from . import options
from .bundles import bundled
from .failures import ANSWERED, PARTIAL
from .request import READING, REGION, Request

if TYPE_CHECKING:
    from whyproof.engine.explanation import Explanation, Kind
    from whyproof.engine.relevancy import Finding

    from .request import Subject

__all__ = ["cover", "query"]

_Names = Annotated[
    list[str] | None,
    typer.Option("--relevant", help="Stand they in one together? Repeatable.", metavar="NAME"),
]


@bundled(request=(*READING, *REGION, "target", "immutable"))
def query(
    row: options.Row,
    request: Request,
    kind: Annotated[
        str, typer.Option("--kind", help="axp: why; cxp: what would change it.", metavar="axp|cxp")
    ] = "axp",
    necessary: Annotated[
        list[str] | None,
        typer.Option("--necessary", help="Stands it in every one? Repeatable.", metavar="NAME"),
    ] = None,
    relevant: _Names = None,
    such_that: Annotated[
        str | None,
        typer.Option(
            "--such-that",
            help="The least one with a property, such as ':- age, income.' (not both).",
            metavar="RULES",
        ),
    ] = None,
    inflate: Annotated[
        bool, typer.Option("--inflate", help="Largest sets of values in place of the row's.")
    ] = False,
    probability: Annotated[
        float | None,
        typer.Option(
            "--probability",
            help="Few features that make the decision of trees this likely.",
            metavar="P",
        ),
    ] = None,
    even_if: Annotated[
        list[str] | None,
        typer.Option(
            "--even-if", help="Stays the decision if these change? Repeatable.", metavar="NAME"
        ),
    ] = None,
    uniform: Annotated[
        bool,
        typer.Option("--uniform", help="Weigh values uniformly over ranges, not by the table."),
    ] = False,
    time_limit: options.TimeLimit = None,
    json: options.Json = False,
) -> int:
    """Ask about the explanations of one row: in all, in some, largest, likely enough."""
    from whyproof.explainer import kind_named

    from .even_if import even_if as decide

    asked = [bool(necessary or relevant), such_that is not None, inflate, probability is not None]
    if sum(asked) + bool(even_if) != 1:
        raise InputError(
            "ask one thing: --necessary and --relevant, --such-that, --inflate, --probability "
            "or --even-if"
        )
    subject, started = request.open(), time.monotonic()
    which = kind_named(kind)

    def left() -> float | None:
        if time_limit is None:
            return None
        return max(1e-3, time_limit - (time.monotonic() - started))

    if necessary or relevant:
        return _membership(subject, row, which, necessary or [], relevant or [], left(), json)
    if such_that is not None:
        return _such_that(subject, row, which, such_that, left(), json)
    if even_if:
        return decide(subject, row, even_if, left(), as_json=json)
    if inflate:
        return _inflate(subject, row, which, left(), json)
    return _probable(subject, row, probability or 0.0, uniform, left(), json)


@bundled(request=READING)
def cover(
    request: Request,
    rows: Annotated[
        str, typer.Option("--rows", help="Rows to cover: 0:50, 7, 1,4,9.", metavar="ROWS")
    ] = ":",
    time_limit: options.TimeLimit = None,
    json: options.Json = False,
) -> int:
    """Find a few rules that explain many rows: inflated reasons that cover all of them."""
    from whyproof.engine.budget import Budget

    from .output import json_line, line, paragraph
    from .request import row_numbers

    subject = request.open()
    every = f"0:{subject.table.n_rows}" if rows == ":" else rows
    numbers = row_numbers(every, subject.table.n_rows)
    points = subject.table.points(subject.explainer.space, numbers)
    found = subject.explainer.cover(list(points), budget=Budget(seconds=time_limit))
    if json:
        json_line(
            {
                "rows": len(points),
                "covered": int(found.covered.sum()),
                "lower_bound": found.lower_bound,
                "rules": [
                    {
                        **rule.as_json(),
                        "prediction": rule.explanation.problem.label,
                        "covers": int(rule.covers(points).sum()),
                    }
                    for rule in found.rules
                ],
            }
        )
    else:
        proof = "no fewer of them do" if found.is_smallest else "fewer may do"
        cover_ = "rule covers" if len(found.rules) == 1 else "rules cover"
        covered = int(found.covered.sum())
        line(f"{len(found.rules)} {cover_} {covered} of {len(points)} rows ({proof}).")
        for number, rule in enumerate(found.rules, 1):
            when = " and ".join(rule.conditions) or "always"
            count = int(rule.covers(points).sum())
            covers = f"{count} row{'' if count == 1 else 's'}"
            paragraph(f"{number}. {rule.explanation.problem.label} if {when} ({covers})")
    return ANSWERED if bool(found.covered.all()) else PARTIAL


def _membership(
    subject: Subject,
    row: int,
    kind: Kind,
    necessary: list[str],
    relevant: list[str],
    seconds: float | None,
    as_json: bool,
) -> int:
    from whyproof.engine.budget import Budget

    from .output import json_line, line, paragraph

    explainer, instance = subject.explainer, subject.instance(row)
    budget = Budget(seconds=seconds)
    findings: list[tuple[str, str, Finding]] = []
    for name in necessary:
        found = explainer.necessary(instance, name, kind, budget=budget)
        findings.append(("necessary", name, found))
    if relevant:
        found = explainer.relevant(instance, relevant, kind, budget=budget)
        findings.append(("relevant", ", ".join(relevant), found))
    if as_json:
        json_line(
            {
                "row": row,
                "kind": str(kind),
                "findings": [
                    {"query": what, "features": names, "holds": found.holds, **_shown(found)}
                    for what, names, found in findings
                ],
            }
        )
    else:
        line(f"Row {row}: the model says {explainer.problem(instance).label}.")
        for what, names, found in findings:
            scope = {"necessary": "every", "relevant": "some"}[what]
            answer = {True: "yes", False: "no", None: "not decided"}[found.holds]
            paragraph(f"{names} in {scope} {str(kind).upper()}: {answer}{_example(found)}.")
    return ANSWERED if all(found.holds is not None for _, _, found in findings) else PARTIAL


def _shown(found: Finding) -> dict[str, object]:
    members = getattr(found.evidence, "features", None)
    return {} if members is None else {"example": list(members)}


def _example(found: Finding) -> str:
    members = _shown(found).get("example")
    return f", such as {', '.join(members)}" if isinstance(members, list) else ""


def _such_that(
    subject: Subject, row: int, kind: Kind, rules: str, seconds: float | None, as_json: bool
) -> int:
    from whyproof.engine.budget import Budget

    from .output import explained, json_line, line, paragraph

    instance, explainer = subject.instance(row), subject.explainer
    found = explainer.such_that(instance, rules, kind, budget=Budget(seconds=seconds))
    if as_json:
        told = None if found.explanation is None else found.explanation.as_json()
        json_line({"row": row, "explanation": told, "proved": found.proved, "examined": found.seen})
    else:
        line(f"Row {row}: the model says {explainer.problem(instance).label}.")
        if found.explanation is not None:
            explained(found.explanation)
            paragraph(f"(the least with this property; {found.seen} examined)")
        elif found.proved:
            paragraph(f"No {str(kind).upper()} has this property (all {found.seen} examined).")
        else:
            paragraph("None was found in time; allow more with --time-limit.")
    return ANSWERED if found.proved else PARTIAL


def _inflate(subject: Subject, row: int, kind: Kind, seconds: float | None, as_json: bool) -> int:
    from whyproof.engine.budget import Budget
    from whyproof.engine.explanation import Status

    from .output import json_line, line, paragraph

    explainer, instance = subject.explainer, subject.instance(row)
    started = time.monotonic()
    found: Explanation | None = explainer.explain(instance, kind, budget=Budget(seconds=seconds))
    label = explainer.problem(instance).label
    if found is None or found.status is Status.UNKNOWN:
        if as_json:
            json_line({"row": row, "conditions": None, "proved": found is None})
        else:
            line(f"Row {row}: the model says {label}.")
            paragraph("There is none (proved)." if found is None else "Nothing was found in time.")
        return ANSWERED if found is None else PARTIAL
    rest = None if seconds is None else max(1e-3, seconds - (time.monotonic() - started))
    inflated = explainer.inflate(found, budget=Budget(seconds=rest))
    points = subject.table.points(explainer.space, list(range(subject.table.n_rows)))
    share = inflated.coverage(points)
    if as_json:
        json_line({"row": row, "prediction": label, **inflated.as_json(), "coverage": share})
    else:
        line(f"Row {row}: the model says {label}.")
        when = " and ".join(inflated.conditions) or "always"
        if found.kind.value == "axp":
            paragraph(f"Whenever {when}, whatever the others are.")
            paragraph(f"(these conditions hold for {100 * share:.1f} % of the table's rows)")
        else:
            paragraph(f"It changes with any values such that {when}, all else as it is.")
        if inflated.open:
            paragraph("Some sets may be too small; allow more with --time-limit.")
    return PARTIAL if inflated.open else ANSWERED


def _probable(
    subject: Subject,
    row: int,
    probability: float,
    uniform: bool,
    seconds: float | None,
    as_json: bool,
) -> int:
    from whyproof.engine.budget import Budget

    from .output import json_line, line, paragraph

    explainer, instance = subject.explainer, subject.instance(row)
    rows = list(range(subject.table.n_rows))
    data = None if uniform else subject.table.points(explainer.space, rows)
    found = explainer.probabilistic(
        instance, probability, data=data, budget=Budget(seconds=seconds)
    )
    names = [explainer.space.names[i] for i in sorted(found.members)]
    if as_json:
        json_line(
            {
                "row": row,
                "features": names,
                "probability": [found.least, found.most],
                "threshold": found.threshold,
                "locally_minimal": found.locally_minimal,
            }
        )
    else:
        line(f"Row {row}: the model says {explainer.problem(instance).label}.")
        exact = found.most - found.least < 1e-9
        share = f"{found.least:.4f}" if exact else f"{found.least:.4f} to {found.most:.4f}"
        paragraph(f"With {', '.join(names) or 'nothing'} fixed its probability is {share}.")
    return ANSWERED if found.locally_minimal else PARTIAL
