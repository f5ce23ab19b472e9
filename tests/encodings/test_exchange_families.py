"""Files for other solvers about linear models, naive Bayes and neighbours, solved again."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import highspy
import numpy as np
import pytest
from pysat.formula import CNF
from pysat.solvers import Solver
from test_constrained_oracles import tree_problem

from whyproof.encodings.exchange import problem_text
from whyproof.encodings.linear.oracle import AdditiveOracle
from whyproof.encodings.neighbours.oracle import NeighbourOracle
from whyproof.engine.answers import Counterexample, Unknown
from whyproof.engine.budget import Meter
from whyproof.engine.domain import Integers, Real
from whyproof.engine.errors import InputError, UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, FeatureSpace
from whyproof.models import load_model

pytest.importorskip("sklearn")
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

NAMES = ["a", "b", "c"]


def problem(
    estimator: object, domain: object, classes: int = 2, seed: int = 0
) -> ExplanationProblem:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (40, 3)).astype(float) + (0 if isinstance(domain, Integers) else 0.25)
    y = (x[:, 0] + x[:, 1] - x[:, 2] + rng.integers(0, 2, 40)).astype(int) % classes
    y[:classes] = np.arange(classes)
    model = load_model(estimator.fit(x, y))  # type: ignore[attr-defined]
    space = FeatureSpace.of(NAMES, dict.fromkeys(NAMES, domain))  # type: ignore[arg-type]
    return ExplanationProblem(model, space, x[5])


def free_sets() -> list[FeatureSet]:
    return [frozenset(c) for k in range(4) for c in itertools.combinations(range(3), k)]


def solved(text: str, ending: str, folder: Path, fixed: dict[str, float]) -> float:
    """The largest objective with some variables fixed; minus infinity if there is no point."""
    file = folder / f"p.{ending}"
    file.write_text(text)
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    assert highs.readModel(str(file)) != highspy.HighsStatus.kError
    names = {highs.getColName(i)[1]: i for i in range(highs.getNumCol())}
    for name, value in fixed.items():
        highs.changeColBounds(names[name], value, value)
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return -np.inf
    return float(highs.getInfo().objective_function_value)


@pytest.mark.parametrize("ending", ["lp", "mps"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_linear_program_decides_as_the_closed_form(
    ending: str, classes: int, tmp_path: Path
) -> None:
    asked = problem(LogisticRegression(), Real(lower=0.0, upper=4.0), classes)
    text, oracle = problem_text(asked, ending), AdditiveOracle(asked)
    for free in free_sets():
        fixed = {f"x{i}": float(asked.instance[i]) for i in range(3) if i not in free}
        (answer,) = oracle.decide([free], Meter())
        assert not isinstance(answer, Unknown)
        lead = solved(text, ending, tmp_path, fixed)
        assert (lead > 0) == isinstance(answer, Counterexample), (free, lead)


@pytest.mark.parametrize("k", [1, 3])
def test_a_program_of_neighbours_decides_as_the_oracle(k: int, tmp_path: Path) -> None:
    asked = problem(KNeighborsClassifier(k), Real(lower=0.0, upper=4.0))
    text, oracle = problem_text(asked, "lp"), NeighbourOracle(asked)
    settings = {
        int(m[1]): dict(
            (name, float(value)) for name, value in re.findall(r"(x\d+_\w+) = ([-\d.e]+)", m[2])
        )
        for m in re.finditer(r"\\ x(\d+): .*fixed by (.*)", text)
    }
    for free in free_sets():
        fixed = {n: v for i in range(3) if i not in free for n, v in settings[i].items()}
        (answer,) = oracle.decide([free], Meter())
        gap = solved(text, "lp", tmp_path, fixed)
        if gap > 1e-4:
            assert isinstance(answer, Counterexample)
        elif gap == -np.inf:
            assert not isinstance(answer, Counterexample)


def test_few_values_are_written_in_every_format() -> None:
    asked = problem(GaussianNB(), Integers(lower=0, upper=3))
    for to in ("cnf", "wcnf", "opb", "lp", "mps", "asp"):
        assert problem_text(asked, to)
    text, oracle = problem_text(asked, "cnf"), AdditiveOracle(asked)
    key = {
        name: int(number)
        for number, name in re.findall(r"^c (\d+) = fixed (\w+)$", text, re.MULTILINE)
    }
    with Solver(name="glucose4", bootstrap_with=CNF(from_string=text)) as solver:
        for free in free_sets():
            chosen = [key[NAMES[i]] for i in range(3) if i not in free]
            (answer,) = oracle.decide([free], Meter())
            assert solver.solve(assumptions=chosen) == isinstance(answer, Counterexample)


def test_what_a_format_cannot_say_is_said() -> None:
    line = problem(LogisticRegression(), Real(lower=0.0, upper=4.0))
    with pytest.raises(UnsupportedError, match="has too many values for clauses"):
        problem_text(line, "cnf")
    with pytest.raises(UnsupportedError, match="no straight line"):
        problem_text(problem(GaussianNB(), Real(lower=0.0, upper=4.0)), "lp")
    with pytest.raises(UnsupportedError, match="cannot say which training rows are nearest"):
        problem_text(problem(KNeighborsClassifier(1), Real(lower=0.0, upper=4.0)), "opb")
    with pytest.raises(UnsupportedError, match="need bounded columns"):
        problem_text(problem(LogisticRegression(), Real(), 3), "lp")
    with pytest.raises(InputError, match="did you mean 'cnf'"):
        problem_text(line, "cfn")


def test_constraints_are_never_left_out_silently() -> None:
    limited = tree_problem(1)
    assert limited.constraints
    for to in ("cnf", "opb", "lp", "asp"):
        with pytest.raises(UnsupportedError, match="do not state constraints"):
            problem_text(limited, to)
    free = replace(limited, space=replace(limited.space, constraints=()))
    assert problem_text(free, "opb")
