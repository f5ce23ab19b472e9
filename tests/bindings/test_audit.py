"""Audits: complete, resumable after any kill, and one bad row does not end them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from small_world import BruteExplainer, Enumeration, grid

from whyproof.auditing import AuditProgress, Fault, audit, audit_rows
from whyproof.engine.budget import Budget
from whyproof.engine.errors import DataError, ReplayError, StoreError
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.question import ReachClass
from whyproof.engine.space import Point
from whyproof.store import RowStatus, RunOutcome, Store, verify

ROWS = {row: grid()[row * 7] for row in range(6)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def contents(path: Path) -> set[tuple[int, object, str]]:
    with Store.read(path) as store:
        assert verify(store).sound
        found = [(s.row, s.record["kind"], str(s.record["indices"])) for s in store.explanations()]
    assert len(found) == len(set(found))
    return set(found)


def expected(rows: Iterable[int] = ROWS) -> set[tuple[int, object, str]]:
    explainer = BruteExplainer()
    return {
        (row, str(e.kind), str(list(e.indices)).replace(" ", "").replace(",", ", "))
        for row in rows
        for e in explainer.all(ROWS[row])
    }


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_audit_finds_everything(path: Path, jobs: int) -> None:
    seen: list[AuditProgress] = []
    summary = audit_rows(BruteExplainer(), ROWS, path, jobs=jobs, progress=seen.append)
    assert contents(path) == expected()
    assert summary.outcome is RunOutcome.FINISHED
    assert summary.complete == tuple(ROWS)
    assert summary.found == summary.axps + summary.cxps == len(expected())
    assert seen[-1].done == len(ROWS)
    with Store.read(path) as store:
        assert store.head() == summary.head
        run = store.runs()[0].record
    assert run["rows"] == [[0, 5]]
    assert run["model"]["library"] == "small world"  # type: ignore[index]
    assert "numpy" in run["environment"]["packages"]  # type: ignore[index]


def test_a_second_call_has_nothing_to_do(path: Path) -> None:
    audit_rows(BruteExplainer(), ROWS, path)
    again = audit_rows(BruteExplainer(), ROWS, path)
    assert (again.found, again.outcome) == (0, RunOutcome.FINISHED)
    assert contents(path) == expected()


def test_a_limit_counts_what_is_stored_and_can_be_raised(path: Path) -> None:
    first = audit_rows(BruteExplainer(), ROWS, path, limit=1)
    assert first.found == len(ROWS)
    assert first.outcome is RunOutcome.FINISHED
    assert first.open
    with Store.read(path) as store:
        assert {row.reason for row in store.rows() if row.status is RowStatus.OPEN} == {"limit"}
    assert audit_rows(BruteExplainer(), ROWS, path, limit=1).found == 0
    assert audit_rows(BruteExplainer(), ROWS, path, limit=2).found <= len(ROWS)
    audit_rows(BruteExplainer(), ROWS, path)
    assert contents(path) == expected()


def test_rows_may_be_added(path: Path) -> None:
    audit_rows(BruteExplainer(), {2: ROWS[2]}, path)
    summary = audit_rows(BruteExplainer(), ROWS, path)
    assert contents(path) == expected()
    assert summary.found == len(expected()) - len(expected([2]))


@pytest.mark.parametrize("jobs", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_killed_at_random_moments_it_loses_and_repeats_nothing(path: Path, jobs: int) -> None:
    draw = random.Random(jobs)
    program = str(Path(__file__).with_name("audit_program.py"))
    command = [sys.executable, program, str(path), str(len(ROWS)), str(jobs), "0.002"]
    safe: set[tuple[int, object, str]] = set()
    for _ in range(4):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(draw.randint(0, 8)):
            process.stdout.readline()
        time.sleep(draw.random() * 0.01)
        process.kill()
        process.communicate()
        if path.exists():
            now = contents(path)
            assert safe <= now <= expected()
            safe = now
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert contents(path) == expected()
    with Store.read(path) as store:
        assert {row.status for row in store.rows()} == {RowStatus.COMPLETE}
        assert {run.outcome for run in store.runs()} <= {RunOutcome.RUNNING, RunOutcome.FINISHED}


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_keeps_what_was_found(path: Path, jobs: int) -> None:
    program = str(Path(__file__).with_name("audit_program.py"))
    command = [sys.executable, program, str(path), str(len(ROWS)), str(jobs), "0.05"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(2):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert "KeyboardInterrupt" in stderr
    found = contents(path)
    assert 1 <= len(found) < len(expected())
    with Store.read(path) as store:
        assert store.runs()[-1].outcome is RunOutcome.INTERRUPTED
        assert "interrupted" in {row.reason for row in store.rows()}
    audit_rows(BruteExplainer(), ROWS, path)
    assert contents(path) == expected()


def test_time_runs_out_and_what_was_found_is_kept(path: Path) -> None:
    slow = BruteExplainer(pause=0.05)
    summary = audit_rows(slow, ROWS, path, seconds=0.12)
    assert summary.outcome is RunOutcome.BUDGET
    assert 0 < summary.found < len(expected())
    assert contents(path) < expected()
    audit_rows(BruteExplainer(), ROWS, path)
    assert contents(path) == expected()


def test_a_row_outside_its_space_fails_alone(path: Path) -> None:
    bad = ROWS[1].copy()
    bad[0] = 17
    summary = audit_rows(BruteExplainer(), {**ROWS, 1: bad}, path)
    assert summary.failed == (1,)
    assert summary.faults[1].fault is Fault.INPUT
    assert "'age'" in summary.faults[1].reason
    assert summary.outcome is RunOutcome.FINISHED
    assert contents(path) == expected(set(ROWS) - {1})
    with pytest.raises(DataError, match="'age'"):
        audit_rows(BruteExplainer(), {1: bad}, path.with_name("other.db"))
    assert not path.with_name("other.db").exists()


class Faulty(BruteExplainer):
    """Fails on the rows whose age is 1, in one of several ways."""

    fault = "replay"

    def enumerate(
        self,
        instance: Point,
        *,
        budget: Budget | None = None,
        bias: Kind = Kind.CXP,
        known: Iterable[Explanation] = (),
    ) -> Enumeration:
        if instance[0] == 0 and instance[1] == 1:
            if self.fault == "replay":
                raise ReplayError("a counterexample failed its replay", {"point": [1.0]})
            if self.fault == "internal":
                raise ZeroDivisionError("by zero")
            os._exit(9)
        return super().enumerate(instance, budget=budget, bias=bias, known=known)


class Dying(Faulty):
    fault = "die"


FAULTY_ROWS = [row for row, point in ROWS.items() if point[0] == 0 and point[1] == 1]


def test_a_failed_replay_is_stored_with_its_reproducer(path: Path) -> None:
    summary = audit_rows(Faulty(), ROWS, path)
    assert summary.failed == tuple(FAULTY_ROWS)
    assert FAULTY_ROWS
    assert summary.outcome is RunOutcome.FAILED
    assert summary.faults[FAULTY_ROWS[0]].details == {"point": [1.0]}
    with Store.read(path) as store:
        assert any('"point":[1.0]' in payload for _, payload, _ in store.journal())
    again = audit_rows(BruteExplainer(), ROWS, path)
    assert again.failed == again.failed_before == tuple(FAULTY_ROWS)
    assert not again.faults
    mended = audit_rows(BruteExplainer(), ROWS, path, retry_failed=True)
    assert mended.failed == ()
    assert contents(path) == expected()


def test_a_defect_in_one_row_leaves_the_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Faulty, "fault", "internal")
    summary = audit_rows(Faulty(), ROWS, path)
    assert summary.faults[FAULTY_ROWS[0]].reason == "ZeroDivisionError: by zero"
    assert contents(path) == expected(set(ROWS) - set(FAULTY_ROWS))


def test_a_worker_that_dies_takes_one_row_with_it(path: Path) -> None:
    summary = audit_rows(Dying(), ROWS, path, jobs=2)
    assert summary.failed == tuple(FAULTY_ROWS)
    assert {fault.fault for fault in summary.faults.values()} == {Fault.LOST}
    assert "exit code 9" in summary.faults[FAULTY_ROWS[0]].reason
    assert contents(path) == expected(set(ROWS) - set(FAULTY_ROWS))


def test_rows_that_are_the_target_are_skipped(path: Path) -> None:
    explainer = BruteExplainer(question=ReachClass(0))
    rows = dict(enumerate(grid()[::11]))
    says = explainer.model.predict(np.array(list(rows.values())))
    summary = audit_rows(explainer, rows, path)
    assert summary.outcome is RunOutcome.FINISHED
    assert summary.skipped == tuple(np.flatnonzero(says == 0).tolist())
    assert summary.complete == tuple(np.flatnonzero(says == 1).tolist())
    assert summary.skipped
    assert summary.complete
    again = audit_rows(explainer, rows, path)
    assert (again.found, again.skipped) == (0, summary.skipped)
    with Store.read(path) as store:
        assert verify(store).sound
        assert store.row(summary.skipped[0]).reason == "the model already says <=50K"


def test_changed_rows_and_other_models_are_refused(path: Path) -> None:
    audit_rows(BruteExplainer(), ROWS, path)
    before = contents(path)
    with pytest.raises(DataError, match="row 1"):
        audit_rows(BruteExplainer(), {1: ROWS[2]}, path)
    other = BruteExplainer()
    other.model.threshold, other.model.fingerprint = 3.0, "sha256:other"
    with pytest.raises(StoreError, match="another model"):
        audit_rows(other, ROWS, path)
    assert contents(path) == before


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ({}, {}, "no rows"),
        (ROWS, {"limit": 0}, "limit"),
        (ROWS, {"jobs": -1}, "jobs"),
        (ROWS, {"seconds": -1.0}, "seconds"),
        ({0: np.zeros(3)}, {}, "shape"),
    ],
)
def test_bad_requests_leave_no_store(
    path: Path, rows: dict[int, Point], options: dict[str, float], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        audit_rows(BruteExplainer(), rows, path, **options)  # type: ignore[arg-type]
    assert not path.exists()


def test_a_live_model_and_a_table_are_enough(path: Path) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    ensemble = pytest.importorskip("sklearn.ensemble")
    x, y = datasets.load_wine(return_X_y=True)
    model = ensemble.RandomForestClassifier(5, max_depth=3, random_state=0).fit(x, y)
    summary = audit(model, x, path, rows=[0, 100], jobs=2)
    assert summary.complete == (0, 100)
    again = audit(model, x, path, rows=[0, 100])
    assert (again.found, again.head.count) == (0, summary.head.count + 2)
    with Store.read(path) as store:
        axps = {row: set() for row in (0, 100)}  # type: ignore[var-annotated]
        cxps = {row: set() for row in (0, 100)}  # type: ignore[var-annotated]
        for stored in store.explanations():
            sets = axps if stored.record["kind"] == "axp" else cxps
            sets[stored.row].add(frozenset(stored.record["indices"]))  # type: ignore[call-overload]
            if stored.record["kind"] == "axp":
                margin = stored.record["evidence"]["margin"]  # type: ignore[index]
                assert margin >= 0
    for row in (0, 100):
        assert all(a & c for a in axps[row] for c in cxps[row])
    resumed = path.with_name("resumed.db")
    for limit in (3, 7, None):
        audit(model, x, resumed, rows=[0, 100], limit=limit)
    assert contents(resumed) == contents(path)
    before = path.read_bytes()
    with pytest.raises(DataError, match="row 999"):
        audit(model, x, path, rows=[999])
    with pytest.raises(DataError, match="columns"):
        audit(model, x[:, :4], path, rows=[0])
    assert path.read_bytes() == before
