"""What was asked, as JSON: the space, the region, the question, and their identity.

Two audits belong into one store when their identities are equal: same model, same
feature space, same region, same question.  Everything else (budgets, seeds, versions)
may change between the runs of a store and is noted with each run.
"""

from __future__ import annotations

from dataclasses import fields

from whyproof.engine.classifier import Classifier
from whyproof.engine.domain import Categories, Domain
from whyproof.engine.question import Question
from whyproof.engine.region import Region
from whyproof.engine.space import Constraint, FeatureSpace

from .canonical import jsonable

__all__ = ["difference", "identity", "model_as_json", "space_as_json"]

_PARTS = {
    "model": "another model",
    "classes": "other classes",
    "space": "another feature space",
    "region": "another region",
    "question": "another question",
}


def identity(
    classifier: Classifier, space: FeatureSpace, region: Region, question: Question
) -> dict[str, object]:
    """Return what the explanations of a store are about.

    Returns
    -------
    Keys ``model`` (fingerprint), ``classes``, ``space``, ``region``, ``question``.
    """
    return {
        "model": classifier.fingerprint,
        "classes": jsonable(classifier.classes),
        "space": space_as_json(space),
        "region": _fields(region),
        "question": _fields(question),
    }


def difference(stored: dict[str, object], wanted: dict[str, object]) -> str | None:
    """Say in what two identities differ first, `None` if they are equal.

    Examples
    --------
    >>> difference({"model": "sha256:1"}, {"model": "sha256:2"})
    'another model (sha256:1, not sha256:2)'
    """
    for part, words in _PARTS.items():
        old, new = stored.get(part), wanted.get(part)
        if old != new:
            short = all(isinstance(value, str) for value in (old, new))
            return f"{words} ({str(old)[:19]}, not {str(new)[:19]})" if short else words
    return None


def space_as_json(space: FeatureSpace) -> dict[str, object]:
    """Describe a feature space: keys ``columns``, ``features``, ``constraints``.

    Examples
    --------
    >>> space_as_json(FeatureSpace.of(["age"]))["features"]
    [{'name': 'age', 'columns': ['age'], 'immutable': False}]
    """
    names = [column.name for column in space.columns]
    return {
        "columns": [
            {"name": c.name, "unit": c.unit, "domain": _domain(c.domain)} for c in space.columns
        ],
        "features": [
            {"name": f.name, "columns": [names[i] for i in f.columns], "immutable": f.immutable}
            for f in space.features
        ],
        "constraints": [_constraint(constraint) for constraint in space.constraints],
    }


def model_as_json(classifier: Classifier) -> dict[str, object]:
    """Describe a model for people.

    Returns
    -------
    Keys ``fingerprint``, ``inputs``, ``classes``, ``semantics``, and where they are known
    ``source``, ``library``, ``version``, ``runtime`` and ``notes``.
    """
    described: dict[str, object] = {"fingerprint": classifier.fingerprint}
    for name in ("source", "library", "version", "notes"):
        value = getattr(classifier, name, None)
        if value:
            described[name] = jsonable(value)
    runtime = getattr(getattr(classifier, "runtime", None), "name", None)
    if runtime:
        described["runtime"] = str(runtime)
    described["inputs"] = classifier.n_columns
    described["semantics"] = _semantics(classifier.structure)
    described["classes"] = jsonable(classifier.classes)
    return described


def _semantics(structure: object) -> dict[str, object]:
    """Tell how an encoded model decides, in the words of its structure."""
    described: dict[str, object] = {}
    trees = getattr(structure, "trees", None)
    if trees is not None:
        described["trees"] = len(trees)
    for name in ("rule", "input_type", "divisor", "link", "slack"):
        value = getattr(structure, name, None)
        if value is not None:
            described[name] = jsonable(value)
    return described


def _domain(domain: Domain) -> dict[str, object]:
    lower, upper = domain.bounds
    described: dict[str, object] = {
        "type": type(domain).__name__.lower(),
        "nullable": domain.nullable,
    }
    if isinstance(domain, Categories):
        described["values"] = jsonable(domain.values)
    else:
        described["lower"], described["upper"] = jsonable(lower), jsonable(upper)
    return described


def _constraint(constraint: Constraint) -> object:
    as_json = getattr(constraint, "as_json", None)
    return jsonable(as_json()) if callable(as_json) else {"name": constraint.name}


def _fields(value: Region | Question) -> dict[str, object]:
    described: dict[str, object] = {"type": type(value).__name__}
    for entry in fields(value):
        described[entry.name] = jsonable(getattr(value, entry.name))
    return described
