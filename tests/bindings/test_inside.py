"""Several processes for one decision, from Python and from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whyproof import Explainer, load_model
from whyproof.cli import main
from whyproof.engine.answers import Counterexample
from whyproof.engine.errors import InputError
from whyproof.engine.explanation import Kind, Status


@pytest.fixture(scope="module")
def trained() -> Any:
    xgboost = pytest.importorskip("xgboost")
    rng = np.random.default_rng(5)
    x = rng.integers(0, 6, (200, 7)).astype(float)
    y = ((x[:, 0] > 2) & (x[:, 1] + x[:, 2] > 4) | (x[:, 3] * x[:, 4] > 9)).astype(int)
    model = xgboost.XGBClassifier(n_estimators=12, max_depth=3, n_jobs=1, random_state=0)
    return model.fit(x, y)


@pytest.fixture(scope="module")
def explainer(trained: Any) -> Explainer:
    return Explainer(load_model(trained))


ROW = np.array([4.0, 3.0, 3.0, 1.0, 2.0, 5.0, 0.0])


def test_two_processes_find_the_same_set(explainer: Explainer) -> None:
    alone = {(e.kind, e.members) for e in explainer.enumerate(ROW)}
    run = explainer.enumerate(ROW, jobs=2)
    assert {(e.kind, e.members) for e in run} == alone
    assert run.complete


@pytest.mark.parametrize("strategy", ["witness", "swift"])
@pytest.mark.parametrize("kind", ["axp", "cxp"])
def test_explanations_of_several_processes_are_minimal(
    explainer: Explainer, strategy: str, kind: str
) -> None:
    several = Explainer(explainer.model, explainer.space, strategy=strategy)
    found = several.explain(ROW, kind, jobs=2)
    assert found is not None
    assert found.status is Status.MINIMAL
    every = {e.members for e in explainer.enumerate(ROW, kinds=[kind])}
    assert found.members in every
    assert (found.kind is Kind.CXP) == isinstance(found.evidence, Counterexample)


def test_further_wishes_are_refused(explainer: Explainer) -> None:
    with pytest.raises(InputError, match="without further wishes"):
        explainer.explain(ROW, smallest=True, jobs=2)
    with pytest.raises(InputError, match="in any order"):
        explainer.enumerate(ROW, kinds=["axp"], smallest_first=True, jobs=2)
    with pytest.raises(InputError, match="number of processes"):
        explainer.enumerate(ROW, jobs=-1)


def test_the_command_line_shares_one_row(
    trained: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, table = tmp_path / "model.json", tmp_path / "rows.csv"
    trained.save_model(model)
    table.write_text(",".join(f"f{i}" for i in range(7)) + "\n" + ",".join(map(str, ROW)) + "\n")
    asked = ["enumerate", str(model), str(table), "--row", "0", "--json"]
    assert main(asked) == 0
    alone = _sets(capsys.readouterr().out)
    assert main([*asked, "--jobs", "2"]) == 0
    assert _sets(capsys.readouterr().out) == alone
    explain = ["explain", str(model), str(table), "--row", "0", "--jobs", "2", "--json"]
    assert main(explain) == 0
    assert _sets(capsys.readouterr().out) < alone
    assert main([*explain, "--smallest"]) == 2


def _sets(lines: str) -> set[tuple[str, tuple[str, ...]]]:
    told = [json.loads(line) for line in lines.splitlines()]
    return {(one["kind"], tuple(one["features"])) for one in told if "kind" in one}


SCRIPT = """
import sys
import numpy as np
from sklearn.tree import DecisionTreeClassifier
from whyproof import Explainer, load_model
from whyproof.auditing import audit_rows

x = np.random.default_rng(0).integers(0, 4, (60, 3)).astype(float)
tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(x, x[:, 0] + x[:, 1] > 3)
explainer = Explainer(load_model(tree))
print(len(list(explainer.enumerate(x[0], jobs=2))))
print(audit_rows(explainer, dict(enumerate(x[:4])), sys.argv[1], jobs=2).complete)
"""


@pytest.mark.slow
def test_scripts_without_a_guard_are_not_run_again_in_workers(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "audit.db")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    explanations, rows = done.stdout.splitlines()
    assert int(explanations) > 0
    assert rows == "(0, 1, 2, 3)"
