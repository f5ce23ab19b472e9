"""Checking a sample of a store's explanations against the model, by two methods.

The chain of a store shows that nothing was edited; it cannot show that what was written down
is true.  So some explanations, the same for equal seeds, are looked at again: the counterexample
is run on the model, proof and minimality are asked of a new oracle, and where
the model's family has certificates one is made and read by the checker, which shares no
code with the search.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from whyproof.certificates import Unproved, certify
from whyproof.engine.answers import Counterexample, Entailed, Unknown
from whyproof.engine.budget import Budget
from whyproof.engine.errors import DataError, ReplayError, StoreError, UnsupportedError
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.oracle import Oracle
from whyproof.engine.space import FeatureSet
from whyproof.explainer import Explainer
from whyproof.models import load_model
from whyproof.report.certificates import question_of, region_of, space_of
from whyproof.store import Store, restore

__all__ = ["Rechecked", "recheck"]


@dataclass(frozen=True, slots=True)
class Rechecked:
    """What a second look found.

    Parameters
    ----------
    explanations
        How many were looked at.
    replayed
        Counterexamples run on the model.
    proved
        Questions that an oracle answered again as the store says.
    certified
        Explanations whose certificate the checker accepted.
    open
        Explanations of which something could not be decided again in time.
    faults
        One sentence each; empty if all holds.
    """

    explanations: int
    replayed: int
    proved: int
    certified: int
    open: int
    faults: tuple[str, ...]


def recheck(
    store: Store, model_file: str | Path, count: int, *, seed: int = 0, seconds: float = 10.0
) -> Rechecked:
    """Look at some explanations of a store again.

    Parameters
    ----------
    store
        Open store.
    model_file
        The audited model.
    count
        How many explanations.
    seed
        Which ones.
    seconds
        Time limit for each.

    Raises
    ------
    DataError
        If the file is another model than the store's.
    UnsupportedError
        If the space has constraints, which a store describes in words.
    """
    identity = cast("Mapping[str, Any]", store.identity)
    classes = [str(label) for label in identity["classes"]] or None
    model = load_model(model_file)
    if model.fingerprint != identity["model"] and classes is not None:
        model = load_model(model_file, classes=classes)
    if model.fingerprint != identity["model"]:
        raise DataError(
            f"{model_file} is another model than the store's ({model.fingerprint[:19]}, not "
            f"{str(identity['model'])[:19]}); name the audited one"
        )
    explainer = Explainer(
        model,
        space_of(identity),
        region=region_of(identity["region"]),
        question=question_of(identity["question"]),
    )
    looked = replayed = proved = certified = unsettled = 0
    faults: list[str] = []
    for stored in store.sample(count, seed):
        looked += 1
        values = store.row(stored.row).record["input"]
        problem = explainer.problem(values if isinstance(values, dict) else {})
        name = f"row {stored.row}, {stored.record['kind']} {stored.record['indices']}"
        try:
            explanation = restore(problem, stored.record)
            replayed += isinstance(explanation.evidence, Counterexample)
            agreed, left = _asked_again(explanation, explainer.oracle(problem), seconds)
        except (ReplayError, StoreError) as error:
            faults.append(f"{name}: {error}")
            continue
        except _Refuted as error:
            faults.append(f"{name}: {error}")
            continue
        proved += agreed
        unsettled += left
        certified += _certified(explanation, model_file, seconds)
    return Rechecked(looked, replayed, proved, certified, unsettled, tuple(faults))


class _Refuted(Exception):
    """An oracle answers otherwise than the store says."""


def _asked_again(explanation: Explanation, oracle: Oracle, seconds: float) -> tuple[int, bool]:
    """Ask what an explanation claims; return the number of answers, and whether one is open."""
    universe, members = explanation.problem.universe, explanation.members
    if isinstance(explanation.evidence, Unknown):
        return 0, True
    forces = explanation.kind is Kind.AXP
    whole = universe - members if forces else members
    claims: list[tuple[FeatureSet, type]] = [(whole, Entailed if forces else Counterexample)]
    for element in sorted(members - explanation.open):
        free = whole | {element} if forces else whole - {element}
        claims.append((free, Counterexample if forces else Entailed))
    meter = Budget(seconds=seconds).start()
    agreed, left = 0, False
    for free, expected in claims:
        (answer,) = oracle.decide([free], meter)
        if isinstance(answer, Unknown):
            left = True
        elif not isinstance(answer, expected):
            raise _Refuted(f"an oracle answers {type(answer).__name__} when {sorted(free)} move")
        else:
            if isinstance(answer, Counterexample):
                explanation.problem.replay(answer.point, free)
            agreed += 1
    return agreed, left


def _certified(explanation: Explanation, model_file: str | Path, seconds: float) -> bool:
    """Write a certificate of an explanation and let the checker read it, where there is one."""
    if explanation.open:
        return False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "certificate.json")
        try:
            certify([explanation], model_file, path, budget=Budget(seconds=seconds))
        except (Unproved, UnsupportedError, DataError):
            return False
    return True
