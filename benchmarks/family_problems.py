"""Random small problems, one kind for each family of models, over finitely many points."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from whyproof.asp.rules import Body, Literal, Operator, Rule, RuleSet
from whyproof.encodings.circuits.binarised import BinarisedLayer, BinarisedNetwork
from whyproof.encodings.circuits.circuit import ColumnTest
from whyproof.encodings.graphs.graph import DecisionGraph, GraphNode
from whyproof.encodings.neighbours.model import NeighbourModel
from whyproof.encodings.oracles import prepare_oracles
from whyproof.engine.domain import Domain, Integers
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, Question, ReachClass
from whyproof.engine.space import FeatureSpace, Points
from whyproof.models import load_model
from whyproof.models.from_binarised import binarised_model
from whyproof.models.from_graph import graph_model
from whyproof.models.from_rules import rules_model
from whyproof.models.model import Model
from whyproof.tables import Table

__all__ = ["FAMILIES", "Case", "cases_of"]

Random = np.random.Generator
Make = Callable[[], Oracle]


Drawn = tuple[Model, tuple[int, int]]
"""A model, and the whole numbers that its columns hold where it does not say."""


@dataclass(frozen=True)
class Case:
    """A problem, all points, where they change it, and its encodings, the fast oracle first."""

    problem: ExplanationProblem
    points: Points
    changed: npt.NDArray[np.bool_]
    oracles: Mapping[str, Make]


def cases_of(drawn: Drawn, random: Random, count: int) -> Iterator[Case]:
    """Pose questions about random points of a model, which runs once on all points."""
    model, (low, high) = drawn
    names = [f"x{i}" for i in range(model.n_columns)]
    domains: dict[str, Domain] = {}
    for i, name in enumerate(names):
        own = model.domains.get(i)
        finite = own is not None and np.isfinite(own.bounds).all()
        domains[name] = own if own is not None and finite else Integers(lower=low, upper=high)
    space = FeatureSpace.of(names, domains)
    ends = [column.domain.bounds for column in space.columns]
    points = np.array(list(itertools.product(*(np.arange(a, b + 1) for a, b in ends))), dtype=float)
    outcomes = model.predict(points)
    for _ in range(count):
        chosen = int(random.integers(len(points)))
        prediction = int(outcomes[chosen])
        others = [k for k in range(len(model.classes)) if k != prediction]
        question: Question = AnyOther()
        changed = np.asarray(outcomes != prediction)
        if len(others) > 1 and random.random() < 0.2:
            question = ReachClass(int(random.choice(others)))
            changed = np.asarray(outcomes == question.target)
        problem = ExplanationProblem(model, space, points[chosen], question=question)  # type: ignore[arg-type]
        yield Case(problem, points, changed, _encodings(problem, model, space))


def _encodings(problem: ExplanationProblem, model: Model, space: FeatureSpace) -> dict[str, Make]:
    """Return the oracles that the product has for a model, by encoding."""
    structure = model.structure

    def posed(encoding: str) -> Make:
        return lambda: prepare_oracles(structure, space, encoding)(problem)

    names = {"fast": "search", "sat": "clauses", "milp": "program", "asp": "asp"}
    if isinstance(structure, NeighbourModel):
        names = {"fast": "search", "milp": "program"}
    elif hasattr(structure, "gates"):
        del names["sat"]  # clauses are the fast oracle there
    elif not isinstance(structure, DecisionGraph) and not isinstance(problem.question, AnyOther):
        del names["milp"]  # one rival at a time
    return {name: posed(encoding) for name, encoding in names.items()}


def _data(
    random: Random, low: int, high: int, columns: int = 3, classes: int = 0
) -> tuple[Points, npt.NDArray[np.int64]]:
    """Return small training data that has every class and every value."""
    n = classes or int(random.integers(2, 4))
    X = random.integers(low, high + 1, (24, columns)).astype(float)
    for value in range(low, high + 1):
        X[value - low] = value
    y = random.integers(0, n, 24)
    y[:n] = np.arange(n)
    return X, y


def _fitted(estimator: object, random: Random, low: int, high: int, classes: int = 0) -> Drawn:
    X, y = _data(random, low, high, classes=classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = load_model(estimator.fit(X, y))  # type: ignore[attr-defined]
    return model, (low, high)


def _body(random: Random, depth: int, order: bool) -> Body:
    literals: list[Literal] = []
    for _ in range(int(random.integers(1, 3))):
        name, value = f"x{random.integers(0, 3)}", int(random.integers(-1, 3))
        orders = [Operator.LE, Operator.GT] if order else []
        operator = random.choice([Operator.EQ, Operator.NE, *orders])  # type: ignore[list-item]
        literals.append(Literal(name, Operator(operator), value, bool(random.random() < 0.3)))
    exceptions: tuple[Body, ...] = ()
    if depth and random.random() < 0.5:
        exceptions = (_body(random, depth - 1, order),)
    return Body(tuple(literals), exceptions)


def _rules(random: Random, depth: int, vote: bool) -> Drawn:
    labels = ["a", "b", "c"][: int(random.integers(2, 4))]
    heads = [*labels, *random.choice(labels, int(random.integers(0, 4))).tolist()]
    rules = tuple(
        Rule(Literal("y", Operator.EQ, str(head)), _body(random, depth, True)) for head in heads
    )
    made = RuleSet("y", rules, str(random.choice(labels)))
    table = Table.of({f"x{i}": [0.0, 1.0] for i in range(3)})
    weights = random.integers(1, 4, len(rules)).tolist() if vote else None
    model = rules_model(made, table, overlap="vote" if vote else "first", weights=weights)
    return model, (-1, 2)


def _binarised(random: Random) -> Drawn:
    width = int(random.integers(2, 6))
    layers = []
    inputs = 4
    for _ in range(int(random.integers(1, 3))):
        thresholds = random.integers(-2, 3, width).astype(float)
        layers.append(BinarisedLayer(random.integers(-1, 2, (width, inputs)), thresholds))
        inputs = width
    classes = int(random.integers(2, 4))
    network = BinarisedNetwork(
        4,
        (0, 1, 2, 3),
        tuple(random.choice([0.0, 1.0], 4).tolist()),
        tuple(layers),
        random.integers(-2, 3, (classes, inputs)),
        random.integers(-1, 2, classes).astype(float),
        tuple("abc"[:classes]),
    )
    return binarised_model(network), (-1, 1)


def _graph(random: Random) -> Drawn:
    inner, classes = int(random.integers(3, 9)), int(random.integers(2, 4))
    nodes = [
        GraphNode(
            ColumnTest(int(random.integers(0, 4)), float(random.choice([0.0, 1.0, 2.0]))),
            int(random.integers(k + 1, inner + classes)),
            int(random.integers(k + 1, inner + classes)),
        )
        for k in range(inner)
    ]
    nodes += [GraphNode(outcome=k) for k in range(classes)]
    return graph_model(DecisionGraph(4, tuple(nodes), tuple("abc"[:classes]))), (-1, 2)


def _members(random: Random) -> list[tuple[str, object]]:
    seeds = random.integers(0, 10**6, 3).tolist()
    return [
        (
            f"m{s}",
            DecisionTreeClassifier(
                max_depth=int(random.integers(1, 4)), max_features=1, random_state=s
            ),
        )
        for s in dict.fromkeys(seeds)
    ]


def _soft(random: Random) -> Drawn:
    forest = RandomForestClassifier(2, max_depth=2, random_state=int(random.integers(10**6)))
    weights = random.integers(1, 3, 2).tolist()
    members = [_members(random)[0], ("forest", forest)]
    return _fitted(VotingClassifier(members, voting="soft", weights=weights), random, -1, 2)


def _calibrated(random: Random) -> Drawn:
    method = str(random.choice(["sigmoid", "isotonic"]))
    if random.random() < 0.5:
        tree = DecisionTreeClassifier(max_depth=2, random_state=int(random.integers(10**6)))
        return _fitted(CalibratedClassifierCV(tree, method=method, cv=2), random, -1, 2, 2)
    one = CalibratedClassifierCV(LogisticRegression(), method=method, cv=2, ensemble=False)
    return _fitted(one, random, -1, 2, 2)


def _neighbours(random: Random) -> Drawn:
    k, p = int(random.integers(1, 5)), int(random.integers(1, 3))
    return _fitted(KNeighborsClassifier(k, p=p), random, -1, 2)


def _tree(random: Random) -> Drawn:
    tree = DecisionTreeClassifier(max_depth=int(random.integers(1, 6)))
    return _fitted(tree, random, -1, 2)


FAMILIES: dict[str, Callable[[Random], Drawn]] = {
    "decision lists": lambda r: _rules(r, 0, False),
    "decision sets": lambda r: _rules(r, 0, True),
    "default rules": lambda r: _rules(r, 2, False),
    "binarised networks": _binarised,
    "decision trees": _tree,
    "decision graphs": _graph,
    "nearest neighbours": _neighbours,
    "votes, hard": lambda r: _fitted(VotingClassifier(_members(r)), r, -1, 2),
    "votes, soft": _soft,
    "calibrated": _calibrated,
    "logistic regression": lambda r: _fitted(LogisticRegression(max_iter=20), r, -1, 2),
    "linear SVM": lambda r: _fitted(LinearSVC(max_iter=50), r, -1, 2),
    "Gaussian naive Bayes": lambda r: _fitted(GaussianNB(), r, -1, 2),
    "categorical naive Bayes": lambda r: _fitted(CategoricalNB(), r, 0, 3),
    "Bernoulli naive Bayes": lambda r: _fitted(BernoulliNB(), r, 0, 1),
    "multinomial naive Bayes": lambda r: _fitted(MultinomialNB(), r, 0, 3),
}
"""How a random model of each family is made."""
