"""``whyproof explain`` and ``whyproof enumerate``: one row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from whyproof.engine.answers import Entailed
from whyproof.engine.budget import Budget
from whyproof.engine.errors import InputError
from whyproof.engine.explanation import Explanation, Kind, Status
from whyproof.engine.problem import ExplanationProblem
from whyproof.margins import with_margin
from whyproof.pictures import draw_explanation, draw_found

from .check import certificate, certified
from .failures import ANSWERED, PARTIAL
from .output import counted, explained, json_line, line, paragraph
from .request import Request

__all__ = ["enumerate_command", "explain_command"]


def explain_command(
    request: Request,
    row: int,
    kind: Kind,
    *,
    smallest: bool,
    must_contain: Sequence[str],
    must_not_contain: Sequence[str],
    seconds: float | None,
    jobs: int = 1,
    certify: Path | None = None,
    picture: Path | None = None,
    as_json: bool,
) -> int:
    """Explain one row once."""
    subject = request.open()
    instance, explainer = subject.instance(row), subject.explainer
    must, must_not = subject.features(must_contain), subject.features(must_not_contain)
    budget = Budget(seconds=seconds)
    extra: dict[str, object] = {"row": row}
    proved = True
    if smallest:
        if jobs != 1:
            raise InputError("--smallest is one process' work: leave --jobs out")
        least = explainer.smallest(
            instance, kind, must_contain=must, must_not_contain=must_not, budget=budget
        )
        found = None if least is None else least.explanation
        if least is not None:
            proved = least.proved
            extra["smallest"] = {"proved": proved, "lower_bound": least.lower_bound}
    else:
        least, found = (
            None,
            explainer.explain(
                instance,
                kind,
                must_contain=must,
                must_not_contain=must_not,
                budget=budget,
                jobs=jobs,
            ),
        )
    if found is None:
        none = least is None  # with `least` there is one, but it was not found in time
        _absent(explainer.problem(instance), kind, extra, proved=none, as_json=as_json)
        return ANSWERED if none else PARTIAL
    if certify is not None:
        extra["certificate"] = certificate(subject, [found], certify)
    if picture is not None:
        draw_explanation(found, picture)
        extra["picture"] = str(picture)
    if as_json:
        json_line({**found.as_json(), **extra})
    else:
        _in_words(found, row, least_proved=proved if smallest else None)
        certified(extra.get("certificate"))
    return ANSWERED if found.status is Status.MINIMAL and proved else PARTIAL


def enumerate_command(
    request: Request,
    row: int,
    kinds: Sequence[Kind],
    *,
    limit: int | None,
    must_contain: Sequence[str],
    must_not_contain: Sequence[str],
    smallest_first: bool,
    seconds: float | None,
    jobs: int = 1,
    certify: Path | None = None,
    picture: Path | None = None,
    as_json: bool,
) -> int:
    """Find the explanations of one row, one after the other."""
    subject = request.open()
    explainer = subject.explainer
    problem = explainer.problem(subject.instance(row))
    enumeration = explainer.enumerate(
        problem.instance,
        kinds=kinds,
        smallest_first=smallest_first,
        must_contain=subject.features(must_contain),
        must_not_contain=subject.features(must_not_contain),
        budget=Budget(seconds=seconds, count=limit),
        jobs=jobs,
    )
    oracle, meter = explainer.oracle(problem), Budget(seconds=seconds).start()
    counts = dict.fromkeys(Kind, 0)
    if not as_json:
        line(f"Row {row}: the model says {problem.label}.")
    interrupted = False
    kept: list[Explanation] = []
    try:
        for explanation in enumeration:
            found = with_margin(explanation, oracle, meter=meter)
            kept.append(found)
            counts[found.kind] += 1
            if as_json:
                json_line(found.as_json())
            else:
                explained(found, f"{str(found.kind).upper()} {counts[found.kind]}: ")
                rests_on(found)
    except KeyboardInterrupt:
        interrupted = True
    proof = certificate(subject, kept, certify) if certify is not None and kept else None
    if picture is not None and kept:
        draw_found(kept, picture)
    axps, cxps, complete = counts[Kind.AXP], counts[Kind.CXP], enumeration.complete
    if as_json:
        end_line: dict[str, object] = {"complete": complete, "axps": axps, "cxps": cxps}
        json_line(end_line if proof is None else {**end_line, "certificate": proof})
    else:
        end = "these are all" if complete else "there may be more"
        line(f"{counted(axps, 'AXp')} and {counted(cxps, 'CXp')}: {end}.")
        certified(proof)
    if interrupted:
        raise KeyboardInterrupt
    reached = limit is not None and axps + cxps >= limit
    return ANSWERED if complete or reached else PARTIAL


def _in_words(found: Explanation, row: int, *, least_proved: bool | None) -> None:
    problem, statistics = found.problem, found.statistics
    line(f"Row {row}: the model says {problem.label}.")
    explained(found)
    rests_on(found)
    size = f"{len(found)} of {problem.space.n_features} features"
    proof = {
        Status.MINIMAL: "proved minimal",
        Status.WEAK: "not proved minimal",
        Status.UNKNOWN: "not decided",
    }[found.status]
    if least_proved is not None:
        proof = "proved smallest" if least_proved else f"{proof}; a smaller one may exist"
    if found.open and found.at_least:
        proof = f"{proof}, no part of it below {counted(found.at_least, 'feature')} is enough"
    effort = f"{counted(statistics.oracle_calls, 'oracle call')}, {statistics.seconds:.3f} s"
    paragraph(f"({size}, {proof}; {effort})")


def rests_on(found: Explanation) -> None:
    """Name the constraints without which an AXp would not force the decision."""
    if isinstance(found.evidence, Entailed) and found.evidence.constraints:
        where = {c.name: str(c) for c in found.problem.space.constraints}
        named = [where.get(name, name) for name in found.evidence.constraints]
        paragraph(f"It rests on the constraint{'s' * (len(named) > 1)} {', '.join(named)}.")


def _absent(
    problem: ExplanationProblem,
    kind: Kind,
    extra: dict[str, object],
    *,
    proved: bool,
    as_json: bool,
) -> None:
    """Say that there is none, or that none was found in time."""
    if as_json:
        reason = {"type": "entailed"} if proved else {"type": "unknown", "reason": "time"}
        json_line(
            {
                "kind": str(kind),
                "features": None,
                "indices": None,
                "status": "none" if proved else "unknown",
                "open": [],
                "prediction": problem.label,
                "evidence": reason,
                "statistics": {},
                **extra,
            }
        )
        return
    line(f"Row {extra['row']}: the model says {problem.label}.")
    if not proved:
        paragraph("Nothing was found in time; allow more with --time-limit.")
    elif kind is Kind.CXP:
        paragraph("There is no CXp: nothing that may change changes the decision (proved).")
    else:
        paragraph("There is no AXp of these features: they do not force the decision (proved).")
