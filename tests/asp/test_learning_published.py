"""Published rule sets come out of the real tables."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from whyproof.asp.learning import FoldSE
from whyproof.asp.rules import Column, RuleSet, Table, read_rules
from whyproof.asp.rules.logic import entails

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("WHYPROOF_DATA", ROOT.parent / "shared" / "data")) / "tabular"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no data at {DATA}; set WHYPROOF_DATA"),
]

NUMBERS = {
    "age",
    "fnlwgt",
    "education_num",
    "capital_gain",
    "capital_loss",
    "hours_per_week",
    "duration_months",
    "credit_amount",
    "installment_rate",
    "present_residence_since",
    "age_years",
    "number_existing_credits",
    "number_people_liable",
}

ADULT = """
label(X,'<=50K') :- not marital_status(X,'Married-civ-spouse'), capital_gain(X,N1), N1=<6849.0.
label(X,'<=50K') :- marital_status(X,'Married-civ-spouse'), capital_gain(X,N1), N1=<5013.0,
    education_num(X,N2), N2=<12.0.
"""

MUSHROOM = """
label(X,'p') :- not odor(X,'n'), not ab1(X,'True'), not ab2(X,'True'), not ab3(X,'True').
label(X,'p') :- spore_print_color(X,'r').
ab1(X,'True') :- not bruises(X,'f'), stalk_root(X,'c').
ab2(X,'True') :- not bruises(X,'f'), stalk_root(X,'r').
ab3(X,'True') :- not gill_spacing(X,'c'), not bruises(X,'f').
"""


def load(name: str) -> tuple[Table, npt.NDArray[np.str_]]:
    path = DATA / name
    opened = gzip.open(path, "rt") if path.suffix == ".gz" else path.open()
    with opened as file:
        header, *rows = csv.reader(file)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    labels = np.array(columns.pop("label"))
    return (
        Table(
            {
                key: Column.numeric(np.array(cells, dtype=np.float64))
                if key in NUMBERS
                else Column.of(np.array(cells))
                for key, cells in columns.items()
            }
        ),
        labels,
    )


def split(n: int, seed: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    order = np.random.default_rng(seed).permutation(n)
    cut = int(0.8 * n)
    return order[:cut], order[cut:]


def bodies(rules: RuleSet) -> set[object]:
    return {(frozenset(r.body.literals), frozenset(r.body.exceptions)) for r in rules.rules}


def test_adult_gives_the_two_published_rules() -> None:
    table, labels = load("adult_train.csv.gz")
    published = read_rules(ADULT)
    exact = 0
    for seed in range(5):
        train, test = split(len(labels), seed)
        learner = FoldSE().fit(table.take(train), labels[train])
        exact += bodies(learner.rules_) == bodies(published)
        assert learner.score(table.take(test), labels[test]) > 0.83
    assert exact >= 4


def test_mushroom_gives_the_five_published_rules() -> None:
    """Two rules and three exceptions, each found as such or in words that cover as much."""
    table, labels = load("mushroom.csv")
    published = read_rules(MUSHROOM)
    for seed in range(5):
        train, test = split(len(labels), seed)
        learner = FoldSE(target="p").fit(table.take(train), labels[train])
        first = learner.rules_.rules[0].body
        assert first.literals == published.rules[0].body.literals
        for exception in published.rules[0].body.exceptions:
            assert any(_same_rows(exception, other, table) for other in first.exceptions)
        assert any(entails(rule.body, published.rules[1].body) for rule in learner.rules_.rules[1:])
        assert learner.score(table.take(test), labels[test]) > 0.985


def _same_rows(left: object, right: object, table: Table) -> bool:
    return bool((left.holds(table) == right.holds(table)).all())  # type: ignore[attr-defined]


def test_car_has_an_answer_for_every_row_in_four_classes() -> None:
    table, labels = load("car.csv")
    scores = []
    for seed in range(5):
        train, test = split(len(labels), seed)
        learner = FoldSE().fit(table.take(train), labels[train])
        predicted = learner.predict(table.take(test))
        assert set(predicted) <= {"unacc", "acc", "good", "vgood"}
        scores.append((predicted == labels[test]).mean())
    assert np.mean(scores) > 0.93


def test_german_beats_the_largest_class() -> None:
    table, labels = load("german_credit.csv")
    gains = []
    for seed in range(5):
        train, test = split(len(labels), seed)
        learner = FoldSE().fit(table.take(train), labels[train])
        gains.append(
            (learner.predict(table.take(test)) == labels[test]).mean()
            - (labels[test] == "good").mean()
        )
    assert np.mean(gains) > 0.01
