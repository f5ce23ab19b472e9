"""Constraints as text: what they mean, and what bad text gets."""

from __future__ import annotations

import numpy as np
import pytest

from whyproof.asp.rules import RuleError
from whyproof.asp.rules.constraints import load_constraints, read_constraints
from whyproof.encodings.constraints.consistency import constrained
from whyproof.engine.domain import Boolean, Categories, Integers, Real
from whyproof.engine.errors import DataError
from whyproof.engine.space import FeatureSpace

SPACE = FeatureSpace.of(
    ["age", "income", "debt", "job", "degree", "married", "red", "blue"],
    {
        "age": Integers(False, 0, 120),
        "income": Real(True),
        "job": Categories(values=("clerk", "cook", "none")),
        "degree": Categories(values=("none", "bsc", "phd")),
        "married": Boolean(),
        "red": Integers(False, 0, 1),
        "blue": Integers(False, 0, 1),
    },
)
ROW = {
    "age": 30,
    "income": 100.0,
    "debt": 40.0,
    "job": "cook",
    "degree": "bsc",
    "married": True,
    "red": 1,
    "blue": 0,
}


def accepts(text: str, was: dict[str, object] | None = None, **changes: object) -> bool:
    instance = SPACE.encode({**ROW, **(was or {})})
    point = SPACE.encode({**ROW, **(was or {}), **changes})
    rules = [rule.at(instance) for rule in read_constraints(text, SPACE)]
    assert rules
    return all(bool(rule.holds(point[None])[0]) for rule in rules)


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        (":- age < 18, married.", {"age": 18}, {"age": 17}),
        (":- age < 18, married = true.", {"age": 17, "married": False}, {"age": 17}),
        ("married = no :- age < 18.", {"age": 17, "married": False}, {"age": 17}),
        ("debt <= income.", {"debt": 100.0}, {"debt": 101.0}),
        ("debt + 2*age <= income.", {"debt": 40.0}, {"debt": 40.5}),
        ("2*(debt - age) < income/4 + 1.", {"debt": 42.9}, {"debt": 43.0}),
        ("debt = 40 :- age >= 30.", {"debt": 1.0, "age": 29}, {"debt": 1.0}),
        ("exactly_one(red, blue).", {}, {"blue": 1}),
        ("at_most_one(red, blue).", {"red": 0}, {"blue": 1}),
        ("at_least_one(red, blue).", {"blue": 1}, {"red": 0}),
        (":- not job in {cook, clerk}.", {"job": "clerk"}, {"job": "none"}),
        ("job != none.", {"job": "clerk"}, {"job": "none"}),
        ("job = (cook; clerk).", {"job": "clerk"}, {"job": "none"}),
        (
            "ok :- job = cook. ok :- age > 40. :- not ok.",
            {"job": "none", "age": 41},
            {"job": "none"},
        ),
        ("old(X) :- age(X,N), N > 60. :- old(X), married(X,true).", {"age": 60}, {"age": 61}),
        ("over(L) :- debt > L. :- over(50).", {"debt": 50.0}, {"debt": 51.0}),
        (":- not (age >= 18, age <= 65).", {"age": 65}, {"age": 66}),
        (":- was(degree) = bsc, degree = none.", {"degree": "phd"}, {"degree": "none"}),
        ("degree = was(degree).", {"age": 9}, {"degree": "phd"}),
        ("income >= was(income) - 10.", {"income": 90.0}, {"income": 89.0}),
        ("debt = was(debt) :- married.", {"age": 12}, {"debt": 41.0}),
        ("income = 100 <-> married.", {"income": 1.0, "married": False}, {"married": False}),
        ("debt < income.", {"income": None}, {"income": 40.0}),
        (":- income > 10, debt > 10.", {"income": None}, {}),
        ("income != missing.", {}, {"income": None}),
        ("degree = phd :- job = none.", {"degree": "phd", "job": "none"}, {"job": "none"}),
    ],
)
def test_text_means_what_it_says(
    text: str, good: dict[str, object], bad: dict[str, object]
) -> None:
    assert accepts(text, **good)
    assert not accepts(text, **bad)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("incme <= 3.", "rules.lp:1:1: no column 'incme'; did you mean 'income'?"),
        ("\n:- job = cok.", r"rules.lp:2:10: column 'job': 'cok' .*did you mean 'cook'"),
        (":- job < cook.", "no order"),
        (":- age * debt > 3.", "not multiplied"),
        (":- age / 0 > 3.", "divides"),
        (":- foo.", "no column 'foo'"),
        ("foo :- age > 3.", "no constraint uses"),
        ("a :- b. b :- a. :- a.", "defined by itself"),
        (":- age > N.", "stands for nothing"),
        ("at_most_one(red, red).", "twice"),
        ("exactly_one(red, bleu).", "did you mean 'blue'"),
        (":- age >", "rules.lp:1:"),
    ],
)
def test_bad_text_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(RuleError, match=complaint):
        read_constraints(text, SPACE, file="rules.lp")


def test_constraints_are_named_by_their_text_and_place() -> None:
    text = "% ages\n:- age < 18,\n   married. % young\n%@ name cheap\ndebt <= 9 :- red."
    first, second = read_constraints(text, SPACE, file="a.lp")
    assert str(first) == "':- age < 18, married' (a.lp:2)"
    assert (second.name, second.position, second.text) == ("cheap", "a.lp:5", "debt <= 9 :- red")


def test_a_contradiction_names_the_fewest_constraints() -> None:
    text = "debt >= 3.\nincome > 7.\ndebt < age.\n age < 2.\n:- job = cook.\nage <= 3.\n"
    rules = read_constraints(text, SPACE, file="r.lp")
    with pytest.raises(
        DataError, match=r"'debt >= 3' \(r.lp:1\), 'debt < age' \(r.lp:3\)"
    ) as error:
        constrained(SPACE, rules)
    assert "r.lp:2" not in str(error.value)
    assert "r.lp:5" not in str(error.value)
    with pytest.raises(DataError, match=r"'age < 0' \(x.lp:1\)"):
        constrained(SPACE, read_constraints("age < 0.", SPACE, file="x.lp"))


def test_an_instance_that_violates_a_constraint_is_refused_with_its_line() -> None:
    space = constrained(SPACE, read_constraints("debt <= 30.", SPACE, file="r.lp"))
    with pytest.raises(DataError, match=r"violates the constraint 'debt <= 30' \(r.lp:1\)"):
        space.check(space.encode(ROW))


def test_files_that_cannot_be_read_are_refused(tmp_path: object) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load_constraints("no_such_file.lp", SPACE)


def test_formulas_hold_for_many_rows_at_once() -> None:
    (rule,) = read_constraints("debt <= income.", SPACE)
    rows = np.stack([SPACE.encode({**ROW, "debt": d}) for d in (1.0, 500.0, 100.0)])
    assert rule.holds(rows).tolist() == [True, False, True]
