"""DRAT certificates: the checker writes the clauses itself and replays what refutes them."""

from __future__ import annotations

import copy
import json
import shutil
import stat
from itertools import combinations
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pysat.solvers import Solver
from test_checker import MODEL, as_read, check, every_point, explanations, problems, signed

from whyproof.certificates import CertificateBuilder, certify
from whyproof.checker import Refused, check_certificate
from whyproof.checker.document import digest_of
from whyproof.checker.drat import replay_drat
from whyproof.checker.model import TreeModel
from whyproof.cli import main
from whyproof.encodings.trees.ensemble import DecisionRule
from whyproof.engine.budget import Budget
from whyproof.engine.errors import InputError
from whyproof.engine.problem import ExplanationProblem
from whyproof.explainer import Explainer
from whyproof.models import load_model
from whyproof.refutations import Refuter

pytest.importorskip("dratify")


def certificate(problem: ExplanationProblem) -> tuple[dict[str, object], Refuter]:
    structure = problem.classifier.structure
    assume(structure.rule is not DecisionRule.NONNEGATIVE)
    outcome = structure.exact_outcome(problem.instance)
    assume(structure.rule is not DecisionRule.VALUE or outcome == problem.prediction)
    with (
        patch("whyproof.refutations.read_model", lambda *_: as_read(structure)),
        patch("whyproof.refutations.library_of", lambda *_: ("none", None)),
        patch.object(TreeModel, "rounding", 0),
    ):
        builder = CertificateBuilder(MODEL, problem.classifier, problem.space, proofs="drat")
        for explanation in explanations(problem):
            builder.add(explanation)
    assert builder._refuter is not None
    return builder.content(), builder._refuter


@given(problems())
@settings(max_examples=40, deadline=None)
def test_refutations_of_true_explanations_are_accepted(problem: ExplanationProblem) -> None:
    content, _ = certificate(problem)
    check(problem, content)


@given(problems(), st.sampled_from([1, 16, 4096]))
@settings(max_examples=40, deadline=None)
def test_a_change_is_always_a_solution(problem: ExplanationProblem, levels: int) -> None:
    """On any grid the clauses are satisfiable wherever some point changes the decision."""
    content, refuter = certificate(problem)
    decision = refuter._decision(problem, content["decisions"][0])  # type: ignore[index]
    n = problem.space.n_features
    for free in (frozenset(s) for k in range(n + 1) for s in combinations(range(n), k)):
        names = {problem.space.names[i] for i in free}
        clauses = decision.clauses(names, [levels] * decision.n_rivals)
        with Solver(name="glucose4", bootstrap_with=clauses) as solver:
            if bool(problem.changed(every_point(problem, free)).any()):
                assert solver.solve()


@given(problems(), st.data())
@settings(max_examples=60, deadline=None)
def test_no_tampered_refutation_proves_what_is_false(
    problem: ExplanationProblem, data: st.DataObject
) -> None:
    content, _ = certificate(problem)
    changed = copy.deepcopy(content)
    claims = [c for d in changed["decisions"] for c in d["claims"]]  # type: ignore[union-attr]
    claim = data.draw(st.sampled_from(claims)) if claims else None
    assume(claim is not None and claim["kind"] == "axp")
    assert claim is not None
    members = claim["features"]
    what = data.draw(st.sampled_from(["lines", "levels", "freer", "immutable"]))
    if what == "freer" and members:
        gone = members.pop(data.draw(st.integers(0, len(members) - 1)))
        claim["witnesses"].pop(gone, None)
        claim["open"] = [name for name in claim["open"] if name != gone]
    elif claim["proof"]["type"] == "drat" and what == "levels":
        claim["proof"]["levels"] = data.draw(
            st.sampled_from([1, [], [0], [1], [7, 7], [10**6], [True], None])
        )
    elif claim["proof"]["type"] == "drat":
        literals = st.lists(st.integers(-20, 20).filter(bool), max_size=3)
        lines = data.draw(st.lists(literals, max_size=3))
        claim["proof"]["lines"] = [" ".join(map(str, (*line, 0))) for line in lines]
    try:
        check(problem, signed(changed))
    except Refused:
        return
    fixed = {problem.space.names.index(name) for name in members}
    assert not problem.changed(every_point(problem, problem.universe - fixed)).any()


def _forest(folder: Path) -> tuple[Path, np.ndarray]:
    """A forest whose decisions need more than one box."""
    xgboost = pytest.importorskip("xgboost")
    draw = np.random.default_rng(0)
    x = draw.normal(size=(300, 8)).round(2)
    y = (x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3] + x[:, 4] > 0.2).astype(int)
    model = xgboost.XGBClassifier(n_estimators=20, max_depth=3, n_jobs=1).fit(x, y)
    model.save_model(folder / "m.json")
    return folder / "m.json", x


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    folder = tmp_path_factory.mktemp("drat")
    path, x = _forest(folder)
    explainer = Explainer(load_model(path))
    found = [explainer.explain(row, "axp") for row in x[:6]]
    certify([f for f in found if f is not None], path, folder / "c.json", proofs="drat")
    return json.loads((folder / "c.json").read_text()), path


def test_real_models_are_refuted_with_steps(certified: tuple[dict, Path]) -> None:
    content, path = certified
    verdict = check_certificate(json.dumps(content), path.read_bytes())
    assert verdict.refutations == len(verdict.claims) == 6
    assert all("by refuting" in claim for claim in verdict.claims)
    proofs = [c["proof"] for d in content["decisions"] for c in d["claims"]]
    assert max(len(proof["lines"]) for proof in proofs) > 10


@pytest.mark.parametrize("what", ["steps", "conclusion", "nonsense", "levels", "field", "type"])
def test_damaged_refutations_are_refused(certified: tuple[dict, Path], what: str) -> None:
    content, path = copy.deepcopy(certified[0]), certified[1]
    proofs = [c["proof"] for d in content["decisions"] for c in d["claims"]]
    proof = max(proofs, key=lambda p: len(p["lines"]))
    if what == "steps":
        proof["lines"] = ["0"]
    elif what == "conclusion":
        proof["lines"] = []
    elif what == "nonsense":
        proof["lines"][0] = "1 x 0"
    elif what == "levels":
        proof["levels"] = [1]
    elif what == "field":
        proof["clauses"] = [[1], [-1]]  # the checker takes no clauses from anyone
    else:
        proof["type"] = "lrat"
    content["digest"] = digest_of(content)
    with pytest.raises(Refused):
        check_certificate(json.dumps(content), path.read_bytes())


def test_drat_trim_is_asked_when_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer, accepted in (("s VERIFIED", True), ("s NOT VERIFIED", False), ("", False)):
        program = tmp_path / "drat-trim"
        program.write_text(f"#!/bin/sh\necho '{answer}'\n")
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "which", lambda _, path=str(program): path)
            if accepted:
                replay_drat([(1,), (-1,)], ["0"])
            else:
                with pytest.raises(Refused, match="does not refute"):
                    replay_drat([(1,), (-1,)], ["0"])


def test_without_a_program_that_replays_the_checker_says_so(
    certified: tuple[dict, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "dratify", None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(Refused, match="pip install dratify"):
        check_certificate(json.dumps(certified[0]), certified[1].read_bytes())


def test_a_budget_that_ends_falls_back_or_says_so(certified: tuple[dict, Path]) -> None:
    path = certified[1]
    explainer = Explainer(load_model(path))
    _, x = _forest(path.parent)
    found = explainer.explain(x[0], "axp")
    assert found is not None
    builder = CertificateBuilder(path, explainer.model, explainer.space, proofs="drat")
    meter = Budget(calls=1).start()
    meter.spend(1)
    with pytest.raises(RuntimeError):
        builder.add(found, meter=meter)
    with pytest.raises(InputError, match="known are auto, boxes, drat"):
        CertificateBuilder(path, explainer.model, explainer.space, proofs="lrat")


def test_the_command_line_chooses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, x = _forest(tmp_path)
    monkeypatch.chdir(tmp_path)
    lines = [",".join(f"f{i}" for i in range(8)), *(",".join(map(str, row)) for row in x[:3])]
    Path("d.csv").write_text("\n".join(lines) + "\n")
    row = [path.name, "d.csv", "--row", "0", "--certify", "c.json"]
    assert main(["explain", *row, "--proofs", "drat"]) == 0
    assert "refutation" in capsys.readouterr().out
    assert main(["check", "c.json", "--model", path.name]) == 0
    assert "DRAT" in capsys.readouterr().out
    assert main(["explain", *row, "--proofs", "lrat"]) == 2
    assert "known are auto, boxes, drat" in capsys.readouterr().err
