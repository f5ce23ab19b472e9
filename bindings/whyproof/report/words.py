"""Explanations as sentences, the same in reports, notebooks and on the command line.

A sentence says what is proved and no more: an AXp speaks of every point of the space (or
region) that keeps its values, a CXp of one point that was tried on the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .values import at_least, few, listed, number, shown
from .view import ExplanationView, Subject

__all__ = [
    "caveat",
    "conclusion",
    "domain_words",
    "guarantee",
    "question_words",
    "region_words",
    "semantics_words",
    "sentence",
    "witness",
]

Strong: TypeAlias = Callable[[str], str]


def sentence(view: ExplanationView, strong: Strong = str) -> str:
    """Say an explanation in one sentence.

    Parameters
    ----------
    view
        The explanation.
    strong
        Marks what to stress: feature names and values.

    Examples
    --------
    >>> import numpy as np
    >>> from whyproof.engine.answers import Entailed
    >>> from whyproof.engine.explanation import Explanation, Kind
    >>> from whyproof.engine.problem import ExplanationProblem
    >>> from whyproof.engine.space import FeatureSpace
    >>> from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
    >>> from whyproof.models.model import Model
    >>> from whyproof.models.simulate import SimulatedRuntime
    >>> from whyproof.report.view import view_of
    >>> no = TreeEnsemble(3, (), np.zeros(1), DecisionRule.POSITIVE, ("no", "yes"))
    >>> model = Model(no, SimulatedRuntime(no), library="none")
    >>> space = FeatureSpace.of(["age", "gain", "job"])
    >>> problem = ExplanationProblem(model, space, np.array([39.0, 0.0, 2.0]))
    >>> entailed = Entailed(core=frozenset({0}), margin=0.5)
    >>> sentence(view_of(Explanation(problem, Kind.AXP, frozenset({0}), entailed)))
    'Because age = 39, whatever the other 2 features are, the model says no.'
    """
    return _abductive(view, strong) if view.kind == "axp" else _contrastive(view, strong)


def witness(view: ExplanationView, strong: Strong = str) -> str:
    """Say what the counterexample of a CXp changes and what the model says there."""
    if not view.transitions:
        return ""
    moves = few([f"{strong(name)} {new} instead of {old}" for name, old, new in view.transitions])
    return f"With {moves}, all else as it is, the model says {shown(view.outcome)}."


def guarantee(view: ExplanationView) -> str:
    """Say how far the decision leads wherever an AXp holds; empty if no lead was bounded."""
    margin = view.margin
    if margin is None or view.status == "unknown":
        return ""
    if margin <= 0:
        return ""
    if margin == float("inf"):
        return "No other answer exists at all."
    return f"Guaranteed margin {at_least(margin)}."


def caveat(view: ExplanationView) -> str:
    """Say what is not proved; empty for a minimal explanation."""
    if view.status == "unknown":
        reason = view.evidence.get("reason", "")
        return f"Not shown to be an explanation: the search stopped ({reason})."
    if view.status == "weak":
        return f"It is not known whether {few(view.open, 'or')} could be left out."
    return ""


def conclusion(subject: Subject, prediction: object) -> str:
    """Say what stays as it is while the decision does not change."""
    question = subject.identity["question"]
    match question["type"]:
        case "ReachClass":
            target = shown(subject.identity["classes"][question["target"]])
            return f"the model does not say {target}"
        case "LeaveInterval":
            return f"the model's value stays {_between(question)}"
        case "KeepMargin":
            floor = number(question["floor"])
            return f"the model says {shown(prediction)} with a lead of at least {floor}"
        case _:
            return f"the model says {shown(prediction)}"


def domain_words(column: Mapping[str, Any]) -> str:
    """Say which values a column may take.

    Examples
    --------
    >>> domain = {"type": "integers", "nullable": True, "lower": 0.0, "upper": 120.0}
    >>> domain_words({"name": "age", "unit": "years", "domain": domain})
    'whole numbers from 0 to 120 years, or missing'
    """
    domain = column["domain"]
    if "values" in domain:
        words = listed([shown(value) for value in domain["values"]], "or")
    elif domain["type"] == "boolean":
        words = "false or true"
    else:
        kind = "whole number" if domain["type"] == "integers" else "number"
        lower, upper = float(domain["lower"]), float(domain["upper"])
        if math.isinf(lower) and math.isinf(upper):
            words = f"any {kind}"
        elif math.isinf(upper):
            words = f"{kind}s from {number(lower)}"
        elif math.isinf(lower):
            words = f"{kind}s up to {number(upper)}"
        else:
            words = f"{kind}s from {number(lower)} to {number(upper)}"
        words += f" {column['unit']}" if column["unit"] else ""
    return f"{words}, or missing" if domain["nullable"] else words


def question_words(identity: Mapping[str, Any]) -> str:
    """Say which outcomes count as a change of the decision."""
    question, classes = identity["question"], identity["classes"]
    match question["type"]:
        case "AnyOther":
            return "any other class than the predicted one"
        case "ReachClass":
            return f"class {shown(classes[question['target']])}"
        case "LeaveInterval":
            return f"a value that is not {_between(question)}"
        case "KeepMargin":
            return f"a lead of the predicted class below {number(question['floor'])}"
        case other:
            return str(other)


def region_words(identity: Mapping[str, Any]) -> str:
    """Say where counterexamples were looked for."""
    region = identity["region"]
    words = "everywhere in the feature space"
    if region["norm"] is not None:
        epsilon = region["epsilon"]
        radius = number(epsilon) if isinstance(epsilon, int | float) else "its own epsilon"
        words = f"within a distance of {radius} ({region['norm']}) of the row"
    if region["lower"] is not None or region["upper"] is not None:
        words += ", inside a given box"
    count = len(identity["space"].get("constraints", ()))
    if count:
        words += f", where {count} constraint{'s hold' if count > 1 else ' holds'}"
    return words


def semantics_words(semantics: Mapping[str, Any]) -> str:
    """Say how the model decides, from what the store keeps about its structure.

    Examples
    --------
    >>> semantics_words({"trees": 8, "rule": "positive", "input_type": "float32", "divisor": 1})
    'one sum over 8 trees, and the second class where it is above zero; inputs rounded to float32'
    >>> semantics_words({})
    'not recorded'
    """
    rules = {
        "argmax": "a score for each class, and the class with the largest (the first of equals)",
        "positive": "one sum, and the second class where it is above zero",
        "nonnegative": "one sum, and the second class where it is not below zero",
        "value": "one sum, which is the value",
    }
    if not semantics:
        return "not recorded"
    said = rules.get(str(semantics.get("rule")), str(semantics.get("rule") or "its own rule"))
    trees = semantics.get("trees")
    if trees is not None:
        over = f"over {trees} tree{'' if trees == 1 else 's'}"
        said = said.replace("one sum", f"one sum {over}", 1)
        said = said.replace("a score for each class", f"a sum {over} for each class", 1)
    divisor = semantics.get("divisor")
    if isinstance(divisor, int | float) and divisor != 1:
        said += f"; sums divided by {number(divisor)}"
    if semantics.get("link") not in (None, "identity"):
        said += f"; then the {semantics['link']} of it"
    if semantics.get("input_type"):
        said += f"; inputs rounded to {semantics['input_type']}"
    slack = semantics.get("slack")
    if isinstance(slack, int | float) and slack:
        said += f"; sums within {number(slack)} of a tie are settled by the model itself"
    return said


def _between(question: Mapping[str, Any]) -> str:
    lower, upper = float(question["lower"]), float(question["upper"])
    if math.isinf(lower):
        return f"at most {number(upper)}"
    if math.isinf(upper):
        return f"at least {number(lower)}"
    return f"between {number(lower)} and {number(upper)}"


def _abductive(view: ExplanationView, strong: Strong) -> str:
    if view.status == "unknown":
        return f"It was not decided whether {few(view.features)} explain the decision."
    stays = conclusion(view.subject, view.record["prediction"])
    because = few([f"{strong(name)} = {value}" for name, value in view.settings])
    others = _whatever(view)
    parts = [part for part in (f"because {because}" if because else "", others, stays) if part]
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _whatever(view: ExplanationView) -> str:
    """Say what the features outside an AXp may do."""
    free, region = view.free, view.subject.identity["region"]
    if not free:
        return ""
    bounded = any(region[part] is not None for part in ("norm", "lower", "upper"))
    # What a proof without constraints says needs no reservation.
    reserved = " as far as the constraints allow" if view.evidence.get("constraints") else ""
    other = "other " if view.indices else ""
    if len(free) == 1:
        does = "moves within the region" if bounded else "is"
        word = "wherever" if bounded else "whatever"
        return f"{word} the {other}feature ({free[0]}) {does}{reserved}"
    all_may_change = len(view.subject.mutable) == len(view.subject.names)
    which = "" if all_may_change else " that may change"
    does = "move within the region" if bounded else "are"
    word = "wherever" if bounded else "whatever"
    return f"{word} the {other}{len(free)} features{which} {does}{reserved}"


def _contrastive(view: ExplanationView, strong: Strong) -> str:
    names = few([strong(name) for name in view.features])
    if view.status == "unknown":
        return f"It was not decided whether changing {names} can change the decision."
    if len(view.features) == 1:
        return f"Changing {names} alone can change the decision."
    part = "; neither alone can" if len(view.features) == 2 else "; no part of them can"
    rest = part if view.status == "minimal" else ""
    return f"Changing {names} together can change the decision{rest}."
