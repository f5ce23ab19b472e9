"""What certificates say about space, constraints and decisions, ready for JSON."""

from __future__ import annotations

import math

import numpy as np

from whyproof.encodings.constraints.constraint import Constraint
from whyproof.encodings.constraints.formula import AtMost, Every, Formula, In, Linear, Some, Was
from whyproof.encodings.constraints.values import Values
from whyproof.encodings.trees.box_proof import BoxProof
from whyproof.engine.domain import Boolean, Categories, Domain, Integers
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, KeepMargin, LeaveInterval, MoveBeyond, ReachClass
from whyproof.engine.space import FeatureSpace, Point

__all__ = ["changes_json", "decision_json", "formula_json", "proof_json", "space_json"]


def _number(value: float) -> object:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def space_json(space: FeatureSpace) -> dict[str, object]:
    """Write columns, features and constraints."""
    columns = [
        {
            "name": column.name,
            "kind": _kind(column.domain),
            "lower": _number(column.domain.bounds[0]),
            "upper": _number(column.domain.bounds[1]),
            "nullable": column.domain.nullable,
        }
        for column in space.columns
    ]
    features = [
        {"name": f.name, "columns": list(f.columns), "immutable": f.immutable}
        for f in space.features
    ]
    written: dict[str, object] = {"columns": columns, "features": features}
    if space.constraints:
        written["constraints"] = [
            {"name": constraint.name, "says": formula_json(constraint.formula)}
            for constraint in space.constraints
            if isinstance(constraint, Constraint)
        ]
    return written


def proof_json(proof: BoxProof, space: FeatureSpace) -> dict[str, object]:
    """Write a box proof; its clashes name columns."""
    written = proof.as_json()
    if space.constraints:
        written["clashes"] = [
            {
                "constraints": list(clash.constraints),
                "box": {space.columns[c].name: _values(v) for c, v in clash.box.items()},
                "steps": list(clash.steps),
            }
            for clash in proof.clashes
        ]
    return written


def formula_json(formula: Formula) -> dict[str, object]:
    """Write a formula over columns."""
    match formula:
        case In():
            return {"in": formula.column, **_values(formula.values)}
        case Was():
            return {"was": formula.column, **_values(formula.values)}
        case Linear():
            return {
                "sum": [[column, _number(factor)] for column, factor in formula.terms],
                "bound": _number(formula.bound),
                "strict": formula.strict,
                "before": [[column, _number(factor)] for column, factor in formula.before],
            }
        case Every():
            return {"all": [formula_json(part) for part in formula.parts]}
        case Some():
            return {"some": [formula_json(part) for part in formula.parts]}
        case AtMost():
            return {"most": formula.count, "of": [formula_json(part) for part in formula.parts]}


def _values(values: Values) -> dict[str, object]:
    intervals = [[_number(low), _number(high)] for low, high in values.intervals]
    return {"intervals": intervals, "missing": values.missing}


def _kind(domain: Domain) -> str:
    match domain:
        case Categories():
            return "codes"
        case Integers() | Boolean():
            return "integers"
        case _:
            return "integers" if domain.is_discrete else "real"


def decision_json(
    problem: ExplanationProblem, claims: list[dict[str, object]]
) -> dict[str, object]:
    """Write what is claimed about an instance."""
    outcome = problem.prediction
    region = problem.region
    radius = region.epsilon
    return {
        "instance": [_number(value) for value in problem.instance.tolist()],
        "prediction": int(outcome) if problem.classifier.classes else outcome,
        "question": _question(problem),
        "region": {
            "epsilon": radius.tolist() if isinstance(radius, np.ndarray) else radius,
            "lower": None if region.lower is None else _numbers(region.lower, -math.inf),
            "upper": None if region.upper is None else _numbers(region.upper, math.inf),
        },
        "claims": claims,
    }


def _numbers(values: Point, everywhere: float) -> list[object]:
    return [_number(everywhere if math.isnan(v) else v) for v in values.tolist()]


def _question(problem: ExplanationProblem) -> dict[str, object]:
    question = problem.question
    if isinstance(question, MoveBeyond):
        question = question.interval(problem.prediction)
    match question:
        case AnyOther():
            return {"type": "other"}
        case ReachClass(target):
            return {"type": "reach", "class": target}
        case KeepMargin(floor):
            return {"type": "keep", "floor": float(floor)}
        case LeaveInterval(lower, upper):
            ends = {"lower": lower, "upper": upper}
            finite = {k: float(v) if math.isfinite(v) else None for k, v in ends.items()}
            return {"type": "leave", **finite}
        case _:
            raise UnsupportedError(f"certificates know no question {type(question).__name__}")


def changes_json(problem: ExplanationProblem, point: Point) -> dict[str, object]:
    """Write a point as the columns in which it differs from the instance."""
    return {
        column.name: _number(value)
        for column, value, before in zip(
            problem.space.columns, point.tolist(), problem.instance.tolist(), strict=True
        )
        if value != before and not (math.isnan(value) and math.isnan(before))
    }
