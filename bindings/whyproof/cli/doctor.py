"""``whyproof doctor``: versions, extras, licences, and whether everything works together."""

from __future__ import annotations

import importlib.util
import itertools
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np

from whyproof.auditing import environment

from .failures import ANSWERED, INTERNAL, say
from .output import json_line, line, table

__all__ = ["doctor_command"]

_EXTRAS = {
    "sklearn": ("sklearn",),
    "boosting": ("xgboost", "lightgbm"),
    "neural": ("torch",),
    "gurobi": ("gurobipy",),
    "marabou": ("maraboupy",),
    "vnnlib": ("vnnlib",),
    "plots": ("matplotlib",),
    "parquet": ("pyarrow",),
    "proofs": ("dratify",),
}

_SOLVERS = ("dtai-veritas", "python-sat", "highspy", "clingo", "onnxruntime", "gurobipy")


def doctor_command(*, as_json: bool) -> int:
    """Report on the installation; exit 1 if a self-test fails."""
    about = environment()
    extras = [
        {"extra": extra, "package": package, "installed": _installed(package)}
        for extra, packages in _EXTRAS.items()
        for package in packages
    ]
    solvers = [
        {"solver": name, "version": version, "licence": _licence(name)}
        for name in _SOLVERS
        if (version := _version(name)) is not None
    ]
    tests = [{"test": name, "result": _outcome(test)} for name, test in _TESTS.items()]
    failed = [test for test in tests if test["result"] != "ok"]
    if as_json:
        json_line({"environment": about, "extras": extras, "solvers": solvers, "self_test": tests})
    else:
        line(f"whyproof {_version('whyproof')}, Python {about['python']}, {about['system']}")
        for rows in (solvers, extras, tests):
            line()
            table(rows)
    if failed:
        say(f"self-test failed: {failed[0]['test']}: {failed[0]['result']}")
        return INTERNAL
    return ANSWERED


def _installed(package: str) -> str:
    return "yes" if importlib.util.find_spec(package) is not None else "no"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _licence(name: str) -> str:
    """Return what the package says about its licence, in a few words."""
    about = metadata.metadata(name)
    stated = about.get_all("License-Expression") or []
    classified = [
        entry.rpartition("::")[2].strip()
        for entry in about.get_all("Classifier") or []
        if entry.startswith("License ::")
    ]
    text = ", ".join(stated or classified or about.get_all("License") or ["not stated"])
    return " ".join(text.split())[:60]


def _outcome(test: Callable[[], None]) -> str:
    try:
        test()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "ok"


def _test_trees() -> None:
    """Explain a small ensemble completely and compare with brute force."""
    from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
    from whyproof.engine.domain import Boolean
    from whyproof.engine.explanation import Kind
    from whyproof.engine.space import FeatureSpace
    from whyproof.explainer import Explainer
    from whyproof.models import Model
    from whyproof.models.simulate import SimulatedRuntime

    trees = tuple(
        Tree(
            column=np.array([column, -1, -1], dtype=np.int32),
            boundary=np.array([0.5, np.nan, np.nan]),
            left=np.array([1, -1, -1], dtype=np.int32),
            right=np.array([2, -1, -1], dtype=np.int32),
            missing_left=np.zeros(3, dtype=np.bool_),
            values=np.array([[0.0], [-weight], [weight]]),
        )
        for column, weight in enumerate((3.0, 2.0, 2.0, 1.0))
    )
    ensemble = TreeEnsemble(4, trees, np.zeros(1), DecisionRule.POSITIVE, ("no", "yes"))
    space = FeatureSpace.of("abcd", dict.fromkeys("abcd", Boolean()))
    explainer = Explainer(Model(ensemble, SimulatedRuntime(ensemble), library="self-test"), space)
    points = np.array(list(itertools.product((0.0, 1.0), repeat=4)))
    flips = points[ensemble.predict(points) == 0]
    moved = [frozenset(np.flatnonzero(point == 0).tolist()) for point in flips]
    expected = {m for m in moved if not any(other < m for other in moved)}
    enumeration = explainer.enumerate(np.ones(4))
    found = {e.members for e in enumeration if e.kind is Kind.CXP}
    if not enumeration.complete or found != expected:
        raise AssertionError(f"found {sorted(map(sorted, found))}")


def _test_sat() -> None:
    from pysat.solvers import Solver

    with Solver(name="cadical153", bootstrap_with=[[1, 2], [-1], [-2]]) as solver:
        if solver.solve():
            raise AssertionError("an unsatisfiable formula was satisfied")


def _test_milp() -> None:
    from highspy import Highs

    solver = Highs()
    solver.silent()
    x = solver.addIntegral(lb=0, ub=9)
    solver.maximize(2 * x)
    if round(solver.getObjectiveValue()) != 18:
        raise AssertionError("a wrong optimum")


def _test_asp() -> None:
    from clingo.control import Control

    control = Control(["0", "--warn=none"])
    control.add("base", [], "1 { a; b } 1.")
    control.ground([("base", [])])
    with control.solve(yield_=True) as handle:
        count = sum(1 for _ in handle)
    if count != 2:
        raise AssertionError(f"{count} answer sets instead of 2")


def _test_store() -> None:
    from whyproof.store import StoreWriter, verify

    with (
        tempfile.TemporaryDirectory() as folder,
        StoreWriter.open(Path(folder, "self-test.db"), {"model": "self-test"}) as store,
    ):
        run = store.begin_run({})
        store.open_row(run, 0, {"a": 1}, {})
        store.add(run, 0, {"kind": "axp", "indices": [0], "status": "minimal"})
        if not verify(store).sound:
            raise AssertionError("a fresh store is not sound")


_TESTS: dict[str, Callable[[], None]] = {
    "tree ensemble against brute force": _test_trees,
    "SAT (PySAT)": _test_sat,
    "MILP (HiGHS)": _test_milp,
    "ASP (clingo)": _test_asp,
    "store": _test_store,
}
