"""Every family of models that users load, by every encoding, keeps what is promised."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "encodings"))

from whyproof.asp.rules import Body, Literal, Operator, Rule, RuleSet
from whyproof.encodings.circuits.binarised import BinarisedLayer, BinarisedNetwork
from whyproof.encodings.circuits.circuit import ColumnTest
from whyproof.encodings.constraints.constraint import implies, linear
from whyproof.encodings.graphs.graph import DecisionGraph, GraphNode
from whyproof.encodings.oracles import prepare_oracles, under_constraints
from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Meter
from whyproof.engine.domain import Domain, Integers
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSpace
from whyproof.models import load_model
from whyproof.models.from_binarised import binarised_model
from whyproof.models.from_graph import graph_model
from whyproof.models.from_rules import rules_model
from whyproof.models.model import Model
from whyproof.tables import Table
from whyproof.testing import Subject, check_oracle

pytest.importorskip("sklearn")
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    GradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

COLUMNS = 3
EVERY = ("search", "clauses", "program", "asp")


def data(low: int, high: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    x = rng.integers(low, high + 1, (40, COLUMNS)).astype(float)
    x[: high - low + 1] = np.arange(low, high + 1)[:, None]
    return x, (x[:, 0] + rng.integers(0, 3, 40)).astype(int) % classes


def fitted(estimator: object, low: int = 0, high: int = 2, classes: int = 3) -> Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_model(estimator.fit(*data(low, high, classes)))  # type: ignore[attr-defined]


def members() -> list[tuple[str, object]]:
    return [(f"m{s}", DecisionTreeClassifier(max_depth=2, random_state=s)) for s in range(3)]


def rules(vote: bool) -> Model:
    def body(name: str, operator: Operator, value: int, *exceptions: Body) -> Body:
        return Body((Literal(f"x{name}", operator, value, False),), exceptions)

    made = (
        Rule(Literal("y", Operator.EQ, "a"), body("0", Operator.LE, 0, body("1", Operator.GT, 1))),
        Rule(Literal("y", Operator.EQ, "b"), body("2", Operator.GT, 0)),
        Rule(Literal("y", Operator.EQ, "c"), body("1", Operator.EQ, 2)),
    )
    table = Table.of({f"x{i}": [0.0, 1.0] for i in range(COLUMNS)})
    named = {"overlap": "vote", "weights": [2, 1, 3]} if vote else {"overlap": "first"}
    return rules_model(RuleSet("y", made, "b"), table, **named)  # type: ignore[arg-type]


def binarised() -> Model:
    rng = np.random.default_rng(3)
    layer = BinarisedLayer(rng.integers(-1, 2, (4, COLUMNS)), rng.integers(-1, 2, 4).astype(float))
    weights, offsets = rng.integers(-2, 3, (3, 4)), np.array([0.0, 1.0, 0.0])
    return binarised_model(
        BinarisedNetwork(
            COLUMNS, (0, 1, 2), (0.0, 1.0, 0.0), (layer,), weights, offsets, tuple("abc")
        )
    )


def graph() -> Model:
    nodes = (
        GraphNode(ColumnTest(0, 1.0), 1, 2),
        GraphNode(ColumnTest(1, 0.0), 3, 2),
        GraphNode(ColumnTest(2, 1.0), 4, 5),
        *(GraphNode(outcome=k) for k in range(3)),
    )
    return graph_model(DecisionGraph(COLUMNS, nodes, tuple("abc")))


def calibrated(ensemble: bool) -> Model:
    if not ensemble:
        return fitted(CalibratedClassifierCV(LogisticRegression(), cv=2, ensemble=False), classes=2)
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    return fitted(CalibratedClassifierCV(tree, cv=2), classes=2)


FAMILIES: dict[str, tuple[Callable[[], Model], int, int, tuple[str, ...]]] = {
    "tree": (lambda: fitted(DecisionTreeClassifier(max_depth=3, random_state=0)), 0, 2, EVERY),
    "forest": (lambda: fitted(RandomForestClassifier(4, max_depth=2, random_state=0)), 0, 2, EVERY),
    "boosted trees": (
        lambda: fitted(GradientBoostingClassifier(n_estimators=2, random_state=0)),
        0,
        2,
        EVERY,
    ),
    "hard vote": (lambda: fitted(VotingClassifier(members())), 0, 2, EVERY),
    "soft vote": (lambda: fitted(VotingClassifier(members(), voting="soft")), 0, 2, EVERY),
    "calibrated trees": (lambda: calibrated(True), 0, 2, EVERY),
    "calibrated linear": (lambda: calibrated(False), 0, 2, EVERY),
    "logistic": (lambda: fitted(LogisticRegression()), 0, 2, EVERY),
    "linear SVM": (lambda: fitted(LinearSVC()), 0, 2, EVERY),
    "Gaussian Bayes": (lambda: fitted(GaussianNB()), 0, 2, EVERY),
    "categorical Bayes": (lambda: fitted(CategoricalNB(), 0, 2), 0, 2, EVERY),
    "Bernoulli Bayes": (lambda: fitted(BernoulliNB(), 0, 1), 0, 1, EVERY),
    "multinomial Bayes": (lambda: fitted(MultinomialNB(), 0, 2), 0, 2, EVERY),
    "rule list": (lambda: rules(False), 0, 2, EVERY),
    "rule set": (lambda: rules(True), 0, 2, EVERY),
    "binarised network": (binarised, -1, 1, EVERY),
    "decision graph": (graph, 0, 2, EVERY),
    "1 neighbour": (lambda: fitted(KNeighborsClassifier(1)), 0, 2, ("search", "program")),
    "3 neighbours, l1": (
        lambda: fitted(KNeighborsClassifier(3, p=1)),
        0,
        2,
        ("search", "program"),
    ),
}


@cache
def model_of(family: str) -> Model:
    return FAMILIES[family][0]()


def a_problem(family: str, *, limited: bool) -> ExplanationProblem:
    model, (_, low, high, _) = model_of(family), FAMILIES[family]
    names = [f"x{i}" for i in range(model.n_columns)]
    domains: dict[str, Domain] = {}
    for i, name in enumerate(names):
        own = model.domains.get(i)
        finite = own is not None and np.isfinite(own.bounds).all()
        domains[name] = own if own is not None and finite else Integers(lower=low, upper=high)
    space = FeatureSpace.of(names, domains)
    point = np.array([float(domains[name].bounds[0]) for name in names])
    if limited:
        first, last = (float(b) for b in domains[names[0]].bounds)
        found = (
            linear(space, {names[0]: 1, names[1]: -1}, "<=", 0),
            implies(space, {names[1]: last}, {names[2]: [first, last]}),
        )
        space = replace(space, constraints=found)
    return ExplanationProblem(model, space, point)


def cases() -> Iterator[tuple[str, str]]:
    for family, (_, _, _, encodings) in FAMILIES.items():
        for encoding in encodings:
            yield family, encoding


@pytest.mark.parametrize(
    "limited",
    [
        pytest.param(False, id="free"),
        pytest.param(True, id="under constraints", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(("family", "encoding"), list(cases()))
def test_a_family_by_an_encoding(family: str, encoding: str, limited: bool) -> None:
    problem = a_problem(family, limited=limited)
    plain = replace(problem.space, constraints=())
    compiled = prepare_oracles(problem.classifier.structure, plain, encoding)

    def make(asked: ExplanationProblem) -> Oracle:
        return under_constraints(asked, compiled)

    # Programs cannot tell a tie from a rounding error; trees of votes and classes have ties.
    check_oracle(Subject(problem, make, complete=encoding != "program"))


def test_what_excluded_boxes_weigh_does_not_hide_a_tie() -> None:
    """Regression: the penalty of an excluded box rounded a leaf at the threshold away."""
    problem = a_problem("tree", limited=True)
    plain = replace(problem.space, constraints=())
    oracle = under_constraints(problem, prepare_oracles(problem.classifier.structure, plain))
    excluded, tie = oracle.decide([frozenset({0}), frozenset({2})], Meter())
    assert isinstance(excluded, Entailed)
    assert isinstance(tie, Counterexample)


@pytest.mark.parametrize("encoding", ["search", "program"])
@pytest.mark.parametrize("seed", range(2))
def test_networks_by_every_encoding(encoding: str, seed: int) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from test_networks_oracle import dense_model

    from whyproof.encodings.networks.classifier import NetworkClassifier
    from whyproof.encodings.networks.spaces import flat_space

    model = NetworkClassifier(dense_model(seed, (4, 6, 3)))
    space = flat_space(4, lower=-1.0, upper=1.0)
    problem = ExplanationProblem(model, space, np.full(4, 0.25), Region.ball(0.4))
    make = prepare_oracles(model.structure, space, encoding)
    rng = np.random.default_rng(seed)
    points = np.clip(0.25 + rng.uniform(-0.4, 0.4, (400, 4)), -1, 1)
    points[:200][rng.random((200, 4)) < 0.5] = 0.25
    check_oracle(Subject(problem, make, points=points, complete=False))
