"""Certificates of nearest counterfactuals, and of there being none under some rules.

The proof is made after the fact by a search of our own (`encodings.recourse.proof`) whose ends
carry multipliers, and is checked in rationals by a program that shares no code with it.  It
speaks of all float64 points of the region, also of those between the numbers of the model's
input grid, so that its bound may be smaller than the distance of the point by the rounding of
a threshold.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from whyproof.certificate_json import changes_json
from whyproof.certificates import CertificateBuilder, Unproved
from whyproof.encodings.recourse.answer import Nearest, NearestStatus, Rule
from whyproof.encodings.recourse.conflict import Conflict
from whyproof.encodings.recourse.nearest import NearestSearch
from whyproof.encodings.recourse.places import Places
from whyproof.encodings.recourse.proof import DistanceProof, Multipliers, prove_distance
from whyproof.encodings.recourse.run import Run
from whyproof.engine.answers import Entailed, Unknown
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSet, FeatureSpace, Point

__all__ = ["certify_nearest", "certify_none", "nearest_claim"]

_SHORTER = (1e-7, 1e-5, 1e-3, 1e-2)
"""Shares by which the proved bound may fall short, tried in this order."""


def certify_nearest(
    search: NearestSearch,
    found: Nearest,
    model_file: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    meter: Meter | None = None,
) -> dict[str, object]:
    """Write a certificate that a counterfactual is a nearest one, after checking it.

    Parameters
    ----------
    search
        Of one model; its rules are directions and ranges, nothing else.
    found
        What it found.
    model_file
        The model's file.
    path
        File to write.
    meter
        Budget of the run.

    Returns
    -------
    dict
        Keys ``file``, ``bound``, ``leaves``, and ``claims`` as the checker states them.

    Raises
    ------
    UnsupportedError
        For rules or a distance that certificates do not know.
    Unproved
        If no proof was found within the limits.
    """
    problem = _problem(search, found)
    claim, boxes = nearest_claim(search, found, problem, meter or Budget().start())
    builder = CertificateBuilder(model_file, search.models[0], problem.space)
    builder.add_claim(problem, claim)
    verdict = builder.write(path)
    return {
        "file": str(Path(path)),
        "bound": claim["bound"],
        "leaves": boxes,
        "claims": verdict.claims,
    }


def nearest_claim(
    search: NearestSearch, found: Nearest, problem: ExplanationProblem, meter: Meter
) -> tuple[dict[str, object], int]:
    """Prove that nothing is nearer than a counterfactual, as a claim of a certificate.

    Parameters
    ----------
    search, found
        What was asked, and the answer.
    problem
        The decision, with the rules as its region.
    meter
        Budget of the run.

    Returns
    -------
    claim, boxes
        For `CertificateBuilder.add_claim`, and the number of boxes of its proofs.

    Raises
    ------
    UnsupportedError, Unproved
        As for `certify_nearest`.
    """
    if found.status not in (NearestStatus.OPTIMAL, NearestStatus.BEST_SO_FAR):
        raise UnsupportedError(
            f"there is nothing to certify about a search that ended with: {found.status}"
        )
    run = search.run(found.instance, (problem.prediction,), meter)
    places = _between_the_grid(search, run)
    cells = run.boxes.locate(found.point if found.point is not None else found.instance)
    reach = sum(float(cost[k]) for cost, k in zip(places.costs, cells.tolist(), strict=True))
    for shorter in _SHORTER:
        target = min(reach, _cost(search, found.bound)) * (1 - shorter)
        proofs: list[DistanceProof] = []
        for goal in run.goal:
            proof = prove_distance(run.program, places, goal, target, meter)
            if isinstance(proof, Unknown):
                break
            proofs.append(proof)
        if len(proofs) == len(run.goal):
            break
    else:
        raise Unproved("no proof of the distance was found within the limits")
    bound = math.sqrt(target) if search.distance.norm == "l2" else target
    point = found.point if found.point is not None else found.instance
    claim: dict[str, object] = {
        "kind": "nearest",
        "norm": search.distance.norm,
        "factors": _factors(search),
        "bound": bound * (1 - 1e-9),
        "point": changes_json(problem, point),
        "proofs": [_written(search, run, proof) for proof in proofs],
    }
    return claim, sum(proof.n_ends for proof in proofs)


def certify_none(
    search: NearestSearch,
    instance: Point,
    conflict: Conflict,
    model_file: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    meter: Meter | None = None,
) -> dict[str, object]:
    """Write a certificate that rules leave no counterfactual, after checking it.

    The claim is an AXp: the features that stay force the decision, wherever the others go
    within the directions and ranges of the rules.  For each rule there is a point that changes the
    decision without it, where one can be written down.

    Parameters
    ----------
    search
        Of one tree ensemble.
    instance
        The person.
    conflict
        The rules: directions, ranges, the region, constraints.
    model_file, path
        The model's file, and the file to write.
    meter
        Budget of the run.

    Returns
    -------
    dict
        Keys ``file``, ``leaves`` (number of claims), and ``claims`` as the checker states them.

    Raises
    ------
    UnsupportedError
        For rules that certificates do not know.
    Unproved
        If no proof was found within the limits.
    """
    if len(search.models) != 1 or search.causes is not None:
        raise UnsupportedError("certificates are about one model, without a causal world")
    meter = meter or Budget().start()
    known = tuple(search.constraints[r.index] for r in conflict.rules if r.kind == "constraint")
    space = replace(search.free_space, constraints=known)
    problem = _decision(search, instance, conflict.rules, space)
    staying = _staying(search, conflict.rules)
    builder = CertificateBuilder(model_file, search.models[0], space)
    builder.add(Explanation(problem, Kind.AXP, staying, Entailed(staying)), meter=meter)
    for rule in conflict.rules:
        if rule.kind != "action" or rule.index in staying:
            continue
        others = [other for other in conflict.rules if other is not rule]
        found = search.nearest(instance, meter=meter, rules=others, feasible_only=True)
        if found.point is not None:
            moved = [search.space.names[i] for i in sorted(found.moved)]
            without = _decision(search, instance, others, space)
            witness = changes_json(without, found.point)
            claim: dict[str, object] = {"kind": "cxp", "features": moved, "open": moved}
            builder.add_claim(without, {**claim, "witness": witness, "proofs": {}})
    verdict = builder.write(path)
    return {"file": str(Path(path)), "leaves": len(verdict.claims), "claims": verdict.claims}


def _staying(search: NearestSearch, rules: Sequence[Rule]) -> FeatureSet:
    """Return the features that rules keep as they are."""
    actions = [(r.index, search.actions.of_feature(r.index)) for r in rules if r.kind == "action"]
    return frozenset(index for index, action in actions if action.direction == "stay")


def _decision(
    search: NearestSearch, instance: Point, rules: Sequence[Rule], space: FeatureSpace
) -> ExplanationProblem:
    """Return the decision with rules as a region; refuse what certificates do not know."""
    unknown = [r for r in rules if r.kind not in ("action", "region", "constraint")]
    steps = [
        r
        for r in rules
        if r.kind == "action" and search.actions.of_feature(r.index).step is not None
    ]
    if unknown or steps:
        text = unknown[0].text if unknown else "features that move in steps"
        raise UnsupportedError(f"certificates do not know this rule: {text}")
    if any(rule.kind == "region" for rule in rules):
        low, high = search.region.limits(search.free_space, instance)
    else:
        low, high = (bound.copy() for bound in search.free_space.bounds)
    staying = _staying(search, rules)
    for rule in rules:
        if rule.kind != "action" or rule.index in staying:
            continue
        action = search.actions.of_feature(rule.index)
        for c in search.space.features[rule.index].columns:
            first, last = action.limits(float(instance[c]))
            if not first <= float(instance[c]) <= last:
                raise UnsupportedError(
                    f"certificates do not know a range that the instance is not in: {rule.text}"
                )
            low[c], high[c] = max(low[c], first), min(high[c], last)
    return ExplanationProblem(
        search.models[0], space, instance, _box(search, low, high), search.question
    )


def _box(search: NearestSearch, low: Point, high: Point) -> Region:
    """Return limits as a region, everywhere if they are those of the space."""
    domain_low, domain_high = search.free_space.bounds
    if not bool(np.any(low > domain_low)) and not bool(np.any(high < domain_high)):
        return Region.everywhere()
    return Region.box(
        np.where(low > domain_low, low, -np.inf), np.where(high < domain_high, high, np.inf)
    )


def _problem(search: NearestSearch, found: Nearest) -> ExplanationProblem:
    """Return the decision with rules as a region; refuse what certificates do not know."""
    if len(search.models) != 1 or search.causes is not None:
        raise UnsupportedError("certificates of nearness are about one model, without a world")
    if search.distance.norm == "linf":
        raise UnsupportedError(
            "certificates of nearness know l0, l1 and l2; for linf, certify an AXp of nothing "
            "within --epsilon"
        )
    unknown = [rule for rule in search.rules if rule.kind not in ("action", "region")]
    steps = [a for a in search.actions.by_feature.values() if a.step is not None]
    if unknown or steps:
        text = unknown[0].text if unknown else "features that move in steps"
        raise UnsupportedError(f"certificates of nearness do not know this rule: {text}")
    if any(len(f.columns) > 1 for f in search.space.features) and search.distance.norm == "l0":
        raise UnsupportedError("certificates of l0 need features of one column")
    low, high = search.region.limits(search.free_space, found.instance)
    for i, feature in enumerate(search.space.features):
        action = search.actions.of_feature(i)
        for c in feature.columns:
            first, last = action.limits(float(found.instance[c]))
            low[c], high[c] = max(low[c], first), min(high[c], last)
    region = _box(search, low, high)
    space = search.free_space
    return ExplanationProblem(search.models[0], space, found.instance, region, search.question)


def _between_the_grid(search: NearestSearch, run: Run) -> Places:
    """Return the places with cells entered at their very first number, on the grid or not."""
    costs = list[Point]()
    for c, (column, cost) in enumerate(zip(run.boxes.columns, run.places.costs, strict=True)):
        here = float(run.places.instance[c])
        if bool(np.isfinite(cost).sum() > 1) and not column.is_ascending:
            name = search.space.columns[c].name
            raise UnsupportedError(
                f"certificates of nearness do not know column {name!r}: it is tested for "
                "categories, or may be missing"
            )
        made = cost.copy()
        for k, cell in enumerate(column.cells):
            if math.isfinite(cost[k]) and cost[k] > 0 and search.distance.norm != "l0":
                edge = cell.lower if cell.lower > here else cell.upper
                step = search.distance.step(c, here, edge)
                made[k] = step * step if search.distance.norm == "l2" else step
        costs.append(made)
    return replace(run.places, costs=tuple(costs))


def _factors(search: NearestSearch) -> list[float]:
    if search.distance.norm == "l0":
        return [float(search.distance.weights[f]) for f in search.space.owner]
    return [float(factor) for factor in search.distance.factors]


def _cost(search: NearestSearch, distance: float) -> float:
    return distance * distance if search.distance.norm == "l2" else distance


def _written(search: NearestSearch, run: Run, proof: DistanceProof) -> dict[str, object]:
    """Write a proof with boundaries as values, each set of multipliers once."""
    columns = run.boxes.columns
    tables: list[dict[str, object]] = []
    number: dict[int, int] = {}
    steps: list[object] = []
    for step in proof.steps:
        if not isinstance(step, Multipliers):
            steps.append([step.column, columns[step.column].cells[step.cell].lower])
            continue
        if id(step) not in number:
            number[id(step)] = len(tables)
            ties = [
                [tree, c, columns[c].cells[k].lower, beyond, value]
                for tree, c, k, beyond, value in step.ties
            ]
            tables.append({"scores": list(step.scores), "ties": ties})
        steps.append(number[id(step)])
    return {"multipliers": tables, "steps": steps}
