"""Certificates about networks: explanations with leaves that need no search to be checked.

    certify_network([why, why_not], "mnist.onnx", "why.json")

Proofs are made after the fact, by a tree whose leaves are bounded just as the checker
bounds them; one tree shows for all members of a CXp that they are needed.  The format is in
``docs/networks.md``, the checker is `whyproof.network_check`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from whyproof.certificates import Unproved
from whyproof.checker import Refused, Verdict
from whyproof.checker.document import digest_of
from whyproof.engine.answers import Counterexample, Unknown
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.errors import DataError, InputError, UnsupportedError
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, KeepMargin, LeaveInterval, MoveBeyond, ReachClass
from whyproof.engine.space import FeatureSpace

from .network_check import FORMAT, VERSION, check_network_certificate

if TYPE_CHECKING:
    from whyproof.encodings.networks.classifier import NetworkClassifier
    from whyproof.encodings.networks.oracle import NetworkOracle

__all__ = ["certify_network"]

_SECONDS = 60.0


def certify_network(
    explanations: Sequence[Explanation],
    model_file: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    budget: Budget | None = None,
) -> Verdict:
    """Write a certificate of explanations of one network, after checking it.

    Parameters
    ----------
    explanations
        Not empty, all of the same network and space.
    model_file
        Its ONNX file.
    path
        File to write.
    budget
        Limits; 60 processor seconds for each explanation by default.

    Returns
    -------
    Verdict
        What an independent check of the file says.

    Raises
    ------
    Unproved
        If an explanation could not be proved in a checkable form in time.
    UnsupportedError
        For networks that are not piecewise linear, regions that are no boxes, and
        constraints.
    """
    if not explanations:
        raise InputError("there is nothing to certify: no explanation was given")
    try:
        payload = Path(model_file).read_bytes()
    except OSError as error:
        raise DataError(f"{model_file} cannot be read: {error.strerror}") from error
    meter = (budget or Budget()).start()
    first = explanations[0].problem
    network = cast("NetworkClassifier", first.classifier)
    decisions: list[dict[str, object]] = []
    last: ExplanationProblem | None = None
    claims: list[dict[str, object]] = []
    for explanation in explanations:
        problem = explanation.problem
        if last is None or not np.array_equal(last.instance, problem.instance):
            claims = []
            decisions.append({**_decision(problem), "claims": claims})
        last = problem
        claims.append(_claim(explanation, meter))
    content: dict[str, object] = {
        "format": FORMAT,
        "version": VERSION,
        "model": {
            "hash": "sha256:" + hashlib.sha256(payload).hexdigest(),
            "classes": [str(label) for label in network.classes],
            "decision": network.decision,
            "output": network.output,
        },
        "space": _space(first.space),
        "decisions": decisions,
    }
    text = json.dumps({**content, "digest": digest_of(content)}, separators=(",", ":"))
    try:
        verdict = check_network_certificate(text, payload)
    except Refused as reason:
        raise Unproved(f"the checker does not accept the certificate: {reason}") from None
    _write(Path(path), text)
    return verdict


def _claim(explanation: Explanation, meter: Meter) -> dict[str, object]:
    from whyproof.encodings.networks.certify import certify, certify_deletions
    from whyproof.encodings.networks.oracle import NetworkOracle

    problem, members = explanation.problem, explanation.members
    if problem.space.constraints:
        raise UnsupportedError("certificates do not know constraints over features")
    if isinstance(explanation.evidence, Unknown):
        raise Unproved("an explanation that was not shown to be one cannot be certified")
    oracle = NetworkOracle(problem)
    seconds = min(_SECONDS, meter.remaining)
    names = problem.space.names
    if explanation.kind is Kind.AXP:
        proof = certify(oracle, problem.universe - members, seconds=seconds)
        if proof is None:
            raise Unproved(
                f"no checkable proof was found in {seconds:.0f} s that fixing the "
                f"{len(members)} features forces the decision"
            )
        witnesses = _witnesses(oracle, explanation)
        return {
            "kind": "axp",
            "features": [names[i] for i in sorted(members)],
            "open": [names[i] for i in sorted(members) if i not in witnesses],
            "proof": proof.as_json()["leaves"],
            "witnesses": {names[i]: _changes(problem, w) for i, w in sorted(witnesses.items())},
        }
    if not isinstance(explanation.evidence, Counterexample):
        raise Unproved("no counterexample was kept")
    found = certify_deletions(oracle, members, seconds=seconds)
    proved = frozenset() if found is None else found[1]
    return {
        "kind": "cxp",
        "features": [names[i] for i in sorted(members)],
        "open": [names[i] for i in sorted(members) if i not in proved],
        "proof": [] if found is None else found[0].as_json()["leaves"],
        "witness": _changes(problem, explanation.evidence),
    }


def _witnesses(oracle: NetworkOracle, explanation: Explanation) -> dict[int, Counterexample]:
    """Return a witness for each member that is not open, asking again where none was kept."""
    free = explanation.problem.universe - explanation.members
    found: dict[int, Counterexample] = {}
    for member in explanation.members - explanation.open:
        answer = explanation.necessity.get(member)
        if not (isinstance(answer, Counterexample) and answer.moved <= free | {member}):
            answer = oracle.settle(free | {member}, 2.0)
        if isinstance(answer, Counterexample):
            found[member] = answer
    return found


def _decision(problem: ExplanationProblem) -> dict[str, object]:
    region, question = problem.region, problem.question
    if not region.is_box:
        raise UnsupportedError(f"certificates are for boxes, not for balls of {region.norm}")
    if isinstance(question, MoveBeyond):
        question = question.interval(problem.prediction)
    match question:
        case AnyOther():
            asked: dict[str, object] = {"type": "other"}
        case ReachClass(target):
            asked = {"type": "reach", "class": int(target)}
        case KeepMargin(floor):
            asked = {"type": "keep", "floor": float(floor)}
        case LeaveInterval(lower, upper):
            ends = {"lower": lower, "upper": upper}
            finite = {k: float(v) if math.isfinite(v) else None for k, v in ends.items()}
            asked = {"type": "leave", **finite}
        case _:
            raise UnsupportedError(f"certificates know no question {type(question).__name__}")
    epsilon = region.epsilon
    return {
        "instance": problem.instance.tolist(),
        "prediction": float(problem.prediction),
        "question": asked,
        "region": {
            "norm": region.norm,
            "epsilon": epsilon.tolist() if isinstance(epsilon, np.ndarray) else epsilon,
            "lower": None if region.lower is None else [_end(v) for v in region.lower],
            "upper": None if region.upper is None else [_end(v) for v in region.upper],
        },
    }


def _space(space: FeatureSpace) -> dict[str, object]:
    low, high = space.bounds
    return {
        "columns": [column.name for column in space.columns],
        "lower": [_end(v) for v in low],
        "upper": [_end(v) for v in high],
        "features": [
            {"name": f.name, "columns": list(f.columns), "immutable": f.immutable}
            for f in space.features
        ],
    }


def _end(value: float) -> object:
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def _changes(problem: ExplanationProblem, witness: Counterexample) -> dict[str, float]:
    """Write a point as the columns in which it differs from the instance."""
    return {
        column.name: float(value)
        for column, value, before in zip(
            problem.space.columns, witness.point, problem.instance, strict=True
        )
        if value != before
    }


def _write(target: Path, text: str) -> None:
    draft = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        draft.write_text(text + "\n", encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        raise DataError(f"{target} cannot be written: {error.strerror}") from error
