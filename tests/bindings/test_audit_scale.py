"""Audits at scale: equal decisions once, the same output however it is divided, and faults."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import chaos
import numpy as np
import pytest
from small_world import BruteExplainer, Enumeration, grid

from whyproof.auditing import Fault, LocalProcesses, OnExecutor, audit_rows, reasons, shipping
from whyproof.auditing.clusters import on_dask, on_mpi, on_ray, on_slurm
from whyproof.auditing.lock import held
from whyproof.auditing.row import RowTask
from whyproof.auditing.same import cells_of, equal_rows
from whyproof.auditing.units import Unit, is_last
from whyproof.engine.budget import Budget
from whyproof.engine.errors import (
    InputError,
    MissingExtraError,
    StoreError,
    UnsupportedError,
)
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.space import FeatureSpace, Point
from whyproof.explainer import Explainer
from whyproof.models import load_model
from whyproof.store import RowStatus, RunOutcome, Store, StoreWriter, exported, verify, writer

ROWS = {row: grid()[row * 7] for row in range(6)}
VOLATILE = ("run", "at", "record_hash")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def told(path: Path) -> list[str]:
    """Return what a store says, without what differs from run to run."""
    with Store.read(path) as store:
        assert verify(store).sound
        return [
            json.dumps({k: v for k, v in line.items() if k not in VOLATILE}, sort_keys=True)
            for line in exported(store)
        ]


def members(path: Path) -> set[tuple[int, str, tuple[int, ...]]]:
    with Store.read(path) as store:
        found = [
            (s.row, str(s.record["kind"]), tuple(s.record["indices"]))  # type: ignore[arg-type]
            for s in store.explanations()
        ]
    assert len(found) == len(set(found))
    return set(found)


@pytest.fixture(scope="module")
def forest() -> tuple[Explainer, dict[int, Point]]:
    ensemble = pytest.importorskip("sklearn.ensemble")
    draw = np.random.default_rng(0)
    x = draw.integers(0, 8, size=(120, 5)).astype(float)
    y = (x[:, 0] + x[:, 1] > 7).astype(int) ^ (x[:, 2] > 5)
    model = ensemble.RandomForestClassifier(4, max_depth=2, random_state=0).fit(x, y)
    explainer = Explainer(load_model(model), FeatureSpace.of("abcde"))
    return explainer, dict(enumerate(x))


def test_rows_in_the_same_cells_are_explained_once(
    forest: tuple[Explainer, dict[int, Point]], path: Path
) -> None:
    explainer, rows = forest
    apart = path.with_name("apart.db")
    once = audit_rows(explainer, rows, path)
    each = audit_rows(explainer, rows, apart, together=False)
    assert once.taken_over > 10
    assert each.taken_over == 0
    assert members(path) == members(apart)
    points = np.stack(list(rows.values()))
    cells = cells_of(explainer.problem(rows[0]), points)
    assert cells is not None
    first = equal_rows(cells)
    assert once.taken_over == int((first != np.arange(len(rows))).sum())
    leaves = explainer.model.structure.apply(points)  # type: ignore[attr-defined]
    assert (leaves == leaves[first]).all()


def test_rows_in_a_ball_of_their_own_are_never_taken_together(
    forest: tuple[Explainer, dict[int, Point]],
) -> None:
    from whyproof.engine.region import Region

    explainer, rows = forest
    near = Explainer(explainer.model, explainer.space, region=Region.ball(1.0))
    assert cells_of(near.problem(rows[0]), np.stack(list(rows.values()))) is None


def test_reasons_are_shared_and_still_minimal(
    forest: tuple[Explainer, dict[int, Point]], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer, rows = forest
    monkeypatch.setattr(reasons, "FIRST_STAGE", 8)
    everything = path.with_name("all.db")
    audit_rows(explainer, rows, everything)
    summary = audit_rows(explainer, rows, path, each=True)
    found = members(path)
    assert found <= members(everything)
    assert {(row, kind) for row, kind, _ in found} == {(r, k) for r in rows for k in ("axp", "cxp")}
    assert summary.outcome is RunOutcome.FINISHED
    with Store.read(path) as store:
        shared = [s for s in store.explanations() if "same_reason_as" in s.record]
        assert len(shared) > 5
        for stored in shared:
            assert stored.record["same_reason_as"] != stored.row
    assert audit_rows(explainer, rows, path, each=True).found == 0


@pytest.mark.slow
@pytest.mark.parametrize("each", [False, True])
def test_the_output_does_not_depend_on_who_works(
    forest: tuple[Explainer, dict[int, Point]],
    path: Path,
    each: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    explainer, rows = forest
    rows = {row: rows[row] for row in range(30)}
    monkeypatch.setattr(reasons, "FIRST_STAGE", 8)
    audit_rows(explainer, rows, path, each=each)
    expected = told(path)
    for number, options in enumerate([{"jobs": 2}, {"jobs": 3, "unit_rows": 1}, {"unit_rows": 7}]):
        other = path.with_name(f"{number}.db")
        audit_rows(explainer, rows, other, each=each, **options)  # type: ignore[arg-type]
        assert told(other) == expected
    halves = path.with_name("halves.db")
    audit_rows(explainer, {row: rows[row] for row in range(13)}, halves, each=each)
    audit_rows(explainer, rows, halves, each=each)
    assert told(halves) == expected


class Odd(BruteExplainer):
    """Does something bad on the rows whose age and gain are 0 and 1."""

    deed = "none"

    def enumerate(
        self,
        instance: Point,
        *,
        budget: Budget | None = None,
        bias: Kind = Kind.CXP,
        known: Iterable[Explanation] = (),
    ) -> Enumeration:
        if instance[0] == 0 and instance[1] == 1:
            if self.deed == "hang":
                time.sleep(600)
            if self.deed == "eat":
                kept = [bytearray(60 * 2**20) for _ in range(10)]
                time.sleep(600 * len(kept))
            if self.deed == "segfault":
                signal.signal(signal.SIGSEGV, signal.SIG_DFL)
                ctypes.string_at(0)
        return super().enumerate(instance, budget=budget, bias=bias, known=known)


class Hanging(Odd):
    deed = "hang"


class Hungry(Odd):
    deed = "eat"


class Crashing(Odd):
    deed = "segfault"


BAD_ROWS = tuple(row for row, point in ROWS.items() if point[0] == 0 and point[1] == 1)


@pytest.mark.slow
def test_a_row_that_hangs_is_stopped_and_the_others_are_done(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whyproof.auditing.processes._GRACE", 0.2)
    summary = audit_rows(Hanging(), ROWS, path, jobs=2, row_seconds=0.5)
    assert summary.outcome is RunOutcome.BUDGET
    assert summary.open == BAD_ROWS
    assert BAD_ROWS
    assert set(summary.complete) == set(ROWS) - set(BAD_ROWS)
    mended = audit_rows(BruteExplainer(), ROWS, path)
    assert mended.complete == tuple(ROWS)


@pytest.mark.slow
def test_a_row_that_eats_memory_fails_with_its_reason(path: Path) -> None:
    summary = audit_rows(Hungry(), ROWS, path, jobs=2, memory=400 * 2**20)
    assert summary.failed == BAD_ROWS
    fault = summary.faults[BAD_ROWS[0]]
    assert fault.fault is Fault.MEMORY
    assert "--max-memory" in fault.reason
    assert set(summary.complete) == set(ROWS) - set(BAD_ROWS)
    assert audit_rows(BruteExplainer(), ROWS, path, retry_failed=True).failed == ()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["local", "pool"])
def test_a_solver_that_crashes_takes_its_row_with_it(path: Path, kind: str) -> None:
    if kind == "local":
        summary = audit_rows(Crashing(), ROWS, path, jobs=2)
        assert summary.failed == BAD_ROWS
        assert summary.faults[BAD_ROWS[0]].fault is Fault.LOST
        assert set(summary.complete) == set(ROWS) - set(BAD_ROWS)
    else:  # a pool of the standard library breaks for good: what was found is kept
        with ProcessPoolExecutor(2) as pool, pytest.raises(InputError, match="again to go on"):
            audit_rows(Crashing(), ROWS, path, runner=pool)
        with Store.read(path) as store:
            assert verify(store).sound
            assert store.runs()[-1].outcome is RunOutcome.FAILED
    audit_rows(BruteExplainer(), ROWS, path, retry_failed=True)
    assert {row for row, _, _ in members(path)} == set(ROWS)


def whole(path: Path) -> bool:
    reference = path.with_name("reference.db")
    audit_rows(BruteExplainer(), ROWS, reference)
    return told(path) == told(reference)


def test_any_executor_will_do(path: Path) -> None:
    with ProcessPoolExecutor(2) as pool:
        audit_rows(BruteExplainer(), ROWS, path, runner=pool)
    assert whole(path)
    with ThreadPoolExecutor(2) as threads:
        again = audit_rows(BruteExplainer(), ROWS, path, runner=OnExecutor(threads, 2))
        assert again.found == 0


@pytest.mark.slow
def test_dask_will_do(path: Path) -> None:
    pytest.importorskip("distributed")
    with on_dask("local", 2) as runner:
        assert runner.workers == 2
        audit_rows(BruteExplainer(), ROWS, path, runner=runner)
        assert whole(path)
        killed = audit_rows(Crashing(), ROWS, path.with_name("crash.db"), runner=runner)
        assert killed.failed == BAD_ROWS


@pytest.mark.slow
def test_ray_will_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("HOME", str(path.parent))  # Ray keeps a token there
    with on_ray("local", 2) as runner:
        audit_rows(BruteExplainer(), ROWS, path, runner=runner)
        assert whole(path)
        killed = audit_rows(Crashing(), ROWS, path.with_name("crash.db"), runner=runner)
        assert killed.failed == BAD_ROWS


def test_mpi_will_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mpi4py.futures", exc_type=(ImportError, RuntimeError))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    with on_mpi(2) as runner:
        audit_rows(BruteExplainer(), ROWS, path, runner=runner)
    assert whole(path)


@pytest.mark.slow
def test_slurm_jobs_will_do_on_this_machine(
    forest: tuple[Explainer, dict[int, Point]], path: Path, tmp_path: Path
) -> None:
    pytest.importorskip("submitit")
    explainer, every = forest
    rows = {row: every[row] for row in (0, 1)}
    with on_slurm(str(tmp_path / "jobs"), 1, options={"cluster": "local"}) as runner:
        summary = audit_rows(explainer, rows, path, runner=runner, unit_rows=2)
    assert summary.complete == (0, 1)


class Unpicklable(BruteExplainer):
    def __init__(self) -> None:
        super().__init__()
        self.handle = open(os.devnull)


class Homeless(BruteExplainer):
    """Loads in no other process, like a class of a module that is not installed there."""

    def __reduce__(self) -> tuple[object, ...]:
        return _missing, ()


def _missing() -> object:
    import package_that_is_not_there  # type: ignore[import-not-found]

    return package_that_is_not_there


def test_what_cannot_be_sent_is_said_before_work_starts(path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"cannot be sent.*top level"):
        audit_rows(Unpicklable(), ROWS, path, jobs=2)
    with pytest.raises(InputError, match=r"package_that_is_not_there.*install there"):
        audit_rows(Homeless(), ROWS, path.with_name("b.db"), jobs=2)
    with (
        ProcessPoolExecutor(1) as pool,
        pytest.raises(InputError, match="package_that_is_not_there"),
    ):
        audit_rows(Homeless(), ROWS, path.with_name("c.db"), runner=pool)
    for name in ("audit.db", "b.db", "c.db"):
        with Store.read(path.with_name(name)) as store:
            assert not store.rows()


def test_other_versions_on_workers_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = shipping._own_versions()
    monkeypatch.setattr(shipping, "_own_versions", lambda: {**right, "numpy": "0.1"})
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(InputError, match=r"numpy .* and the driver 0\.1; .*pip install numpy==0\.1"),
    ):
        audit_rows(BruteExplainer(), ROWS, path, runner=pool)
    monkeypatch.setattr(shipping, "_own_versions", lambda: {**right, "python": "3.9"})
    with pytest.raises(InputError, match=r"runs Python .* and the driver 3\.9"):
        audit_rows(BruteExplainer(), ROWS, path, jobs=2)


def test_absent_clusters_are_said_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("whyproof.auditing.clusters._CONNECT_SECONDS", 0.5)
    with pytest.raises(InputError, match=r"tcp://127\.0\.0\.1:9.*dask scheduler"):
        with on_dask("tcp://127.0.0.1:9"):
            pass
    for package, place in (
        ("distributed", lambda: on_dask("local")),
        ("ray", lambda: on_ray("local")),
        ("mpi4py", on_mpi),
        ("submitit", lambda: on_slurm(str(path.parent), 1)),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingExtraError, match="pip install"):
            with place():
                pass
    assert not path.exists()


def test_one_audit_at_a_time_writes_to_a_store(path: Path) -> None:
    with held(path):
        with pytest.raises(StoreError, match=rf"in use by another audit .process {os.getpid()} "):
            audit_rows(BruteExplainer(), ROWS, path)
        assert not path.exists()
    audit_rows(BruteExplainer(), ROWS, path)
    assert [entry.name for entry in path.parent.iterdir()] == ["audit.db"]


def test_a_killed_audit_leaves_no_lock(path: Path) -> None:
    code = f"from whyproof.auditing.lock import held\nwith held({str(path)!r}): input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    lock = path.with_name(".audit.db.lock")
    until = time.monotonic() + 60
    while not (lock.exists() and lock.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    with pytest.raises(StoreError, match=f"process {process.pid}"), held(path):
        pass
    process.kill()
    process.communicate()
    with held(path):
        pass


def test_a_full_disk_ends_the_audit_and_keeps_what_was_found(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit_rows(BruteExplainer(), {0: ROWS[0]}, path)
    before = members(path)
    opened = StoreWriter.open.__func__  # type: ignore[attr-defined]

    def small(cls: type[StoreWriter], *arguments: object) -> StoreWriter:
        store: StoreWriter = opened(cls, *arguments)
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages + 3}")
        return store

    monkeypatch.setattr(StoreWriter, "open", classmethod(small))
    with pytest.raises(StoreError, match="disk is full"):
        audit_rows(BruteExplainer(), {row: grid()[row] for row in range(7, 144)}, path)
    assert before <= members(path)
    monkeypatch.undo()
    audit_rows(BruteExplainer(), ROWS, path)
    with Store.read(path) as store:
        assert verify(store).sound
        assert {row.status for row in store.rows() if row.row in ROWS} == {RowStatus.COMPLETE}


def test_clocks_that_jump_change_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def jumping() -> Iterator[str]:
        now, step = datetime(2030, 1, 1, tzinfo=UTC), 0
        while True:
            step += 1
            yield (now + timedelta(days=(-1) ** step * step)).isoformat()

    times = jumping()
    monkeypatch.setattr(writer, "utc_now", lambda: next(times))
    monkeypatch.setattr(time, "time", lambda: -float(len(next(times))))
    summary = audit_rows(BruteExplainer(), ROWS, path, seconds=600, row_seconds=100)
    assert summary.complete == tuple(ROWS)
    monkeypatch.undo()
    assert whole(path)


def test_rows_that_time_does_not_reach_are_open(path: Path) -> None:
    slow = BruteExplainer(pause=0.2)
    rows = {row: grid()[row] for row in range(40)}
    summary = audit_rows(slow, rows, path, seconds=0.3, runner=LocalProcesses(1))
    assert summary.outcome is RunOutcome.BUDGET
    assert len(summary.open) + len(summary.complete) == len(rows)


@pytest.mark.slow
def test_killed_at_random_it_loses_repeats_and_hangs_nothing(tmp_path: Path) -> None:
    result = chaos.main(tmp_path, rows=40, kills=6, seed=1, pause=0.06)
    assert result["killed_workers"] + result["killed_drivers"] == 6  # type: ignore[operator]
    assert (result["lost"], result["extra"], result["duplicated"], result["hung"]) == (0, 0, 0, 0)
    assert result["open_rows"] == []


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_is_taken_from_behind_a_barrier_before_all_is_handed_over(workers: int) -> None:
    """Regression: the last events before the barrier were still on their way."""
    handed: set[int] = set()
    early: list[set[int]] = []

    def units() -> Iterator[Unit | None]:
        for stage in range(3):
            rows = [row for row in ROWS if row % 3 == stage]
            for row in rows:
                yield Unit(row, (RowTask(row, ROWS[row]),))
            yield None
            early.append(set(rows) - handed)

    for events in LocalProcesses(workers).run(BruteExplainer(), units()):
        time.sleep(0.01)
        handed |= {event.row for event in events if is_last(event)}
    assert handed == set(ROWS)
    assert early == [set(), set(), set()]
