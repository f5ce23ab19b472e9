r"""Audits at scale: what rows, trees, features, workers and faults cost.

python -m benchmarks.scale overhead speedup adult together growth inside chaos \
    --out benchmarks/results/scale.json

Every section can be run alone and is merged into the file.  Times are processor seconds of
the driver and of all its workers, and the clock's; on a machine that others use the first
say what the work costs, the second only what they left.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import data_folder, describe_machine, write_result
from whyproof.auditing import AuditProgress, audit_rows
from whyproof.auditing.clusters import on_dask, on_ray
from whyproof.auditing.inside import posed
from whyproof.auditing.memory import resident
from whyproof.auditing.same import cells_of, equal_rows
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.explanation import Kind
from whyproof.engine.minimise import minimise
from whyproof.engine.parallel.marco import enumerate_in_parallel
from whyproof.engine.parallel.oracle import ParallelOracle
from whyproof.engine.parallel.portfolio import first_answer
from whyproof.engine.space import FeatureSpace, Point
from whyproof.explainer import Explainer
from whyproof.models import load_model

__all__ = ["SECTIONS", "main"]

Rows = dict[int, Point]


@dataclass
class Cost:
    """What a block of work took; `children` are processes that have ended."""

    wall: float = 0.0
    driver_cpu: float = 0.0
    workers_cpu: float = 0.0
    load: float = 0.0
    extra: dict[str, object] = field(default_factory=dict)

    @property
    def cpu(self) -> float:
        """Processor seconds of all processes."""
        return self.driver_cpu + self.workers_cpu

    def as_json(self, rows: int | None = None) -> dict[str, object]:
        """Return rounded numbers, per row where that makes sense."""
        told: dict[str, object] = {
            "wall_seconds": round(self.wall, 2),
            "driver_cpu_seconds": round(self.driver_cpu, 2),
            "workers_cpu_seconds": round(self.workers_cpu, 2),
            "load": round(self.load, 1),
        }
        if rows:
            told["cpu_ms_per_row"] = round(1e3 * self.cpu / rows, 3)
            told["wall_ms_per_row"] = round(1e3 * self.wall / rows, 3)
        return {**told, **self.extra}


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure a block, processes that it starts and ends included."""
    cost = Cost()
    wall, driver, workers = time.perf_counter(), time.process_time(), _children()
    yield cost
    cost.wall = time.perf_counter() - wall
    cost.driver_cpu = time.process_time() - driver
    cost.workers_cpu = _children() - workers
    cost.load = os.getloadavg()[0]


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def boosted(x: np.ndarray, y: np.ndarray, trees: int, depth: int) -> Explainer:
    """Train an XGBoost model and return its explainer."""
    import xgboost

    model = xgboost.XGBClassifier(
        n_estimators=trees, max_depth=depth, learning_rate=0.2, n_jobs=1, random_state=0
    ).fit(x, y)
    return Explainer(load_model(model), FeatureSpace.of([f"x{i}" for i in range(x.shape[1])]))


def breast_cancer(count: int) -> tuple[Explainer, Rows]:
    """Return a 50-tree model and rows: the data's, then mixtures of two of one class."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    draw = np.random.default_rng(0)
    rows = list(x[:count])
    while len(rows) < count:
        kind = draw.integers(2)
        one, two = x[draw.choice(np.flatnonzero(y == kind), 2)]
        rows.append(np.where(draw.random(x.shape[1]) < 0.5, one, two))
    return boosted(x, y, 50, 3), dict(enumerate(rows))


def adult(count: int, *, weights: bool) -> tuple[Explainer, Rows]:
    """Return a 100-tree model of Adult, and rows of the data, then mixtures of two.

    Parameters
    ----------
    count
        Rows; the data has 48,842.
    weights
        Keep the column of survey weights, which makes nearly every row different.
    """
    import pandas

    folder = data_folder() / "tabular"
    parts = []
    for name in ("adult_train.csv.gz", "adult_test.csv.gz"):
        with gzip.open(folder / name, "rt") as file:
            parts.append(pandas.read_csv(file))
    table = pandas.concat(parts, ignore_index=True)
    y = (table.pop("label") == ">50K").to_numpy(dtype=int)
    if not weights:
        table = table.drop(columns="fnlwgt")
    for name in table.columns:
        if not pandas.api.types.is_numeric_dtype(table[name]):
            table[name] = table[name].astype("category").cat.codes
    x = table.to_numpy(dtype=float)
    draw = np.random.default_rng(0)
    more = max(0, count - len(x))
    one, two = x[draw.integers(len(x), size=(2, more))]
    mixed = np.where(draw.random((more, x.shape[1])) < 0.5, one, two)
    rows = np.concatenate([x, mixed])[:count]
    return boosted(x[: len(parts[0])], y[: len(parts[0])], 100, 3), dict(enumerate(rows))


def audited(explainer: Explainer, rows: Rows, **options: Any) -> tuple[Cost, Any, int]:  # noqa: ANN401
    """Audit into a new store; return cost, summary and the store's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "audit.db")
        with measured() as cost:
            summary = audit_rows(explainer, rows, store, **options)
        return cost, summary, store.stat().st_size


def overhead() -> dict[str, object]:
    """Measure what a runner adds to rows that cost next to nothing."""
    draw = np.random.default_rng(0)
    x = draw.random((1000, 3))
    explainer = boosted(x, (x[:, 0] > 0.5).astype(int), 1, 1)
    rows = dict(enumerate(x))
    told: dict[str, object] = {"rows": len(rows)}
    options: dict[str, Any] = {"each": True, "together": False}
    base, _, _ = audited(explainer, rows, **options)
    told["in this process"] = base.as_json(len(rows))

    def against(cost: Cost) -> dict[str, object]:
        told = cost.as_json(len(rows))
        if cost.workers_cpu > base.cpu / 2:  # processes of others cannot be counted from here
            told["added_cpu_ms_per_row"] = round(1e3 * (cost.cpu - base.cpu) / len(rows), 3)
        return told

    for jobs in (1, 2):
        with ProcessPoolExecutor(jobs) as pool:
            cost, _, _ = audited(explainer, rows, runner=pool, **options)
        told[f"concurrent.futures, {jobs}"] = against(cost)
    from whyproof.auditing import LocalProcesses

    for jobs in (1, 2):
        cost, _, _ = audited(explainer, rows, runner=LocalProcesses(jobs), **options)
        told[f"local processes, {jobs}"] = against(cost)
    for name, place in {"Dask": on_dask, "Ray": on_ray}.items():
        try:
            started = time.perf_counter()
            with measured() as whole, place("local", 2) as runner:
                up = time.perf_counter() - started
                cost, _, _ = audited(explainer, rows, runner=runner, **options)
        except ImportError as error:
            told[name] = str(error)
            continue
        cost.workers_cpu = whole.workers_cpu
        told[f"{name}, 2"] = {**against(cost), "seconds_to_start": round(up, 1)}
    return told


def speedup() -> dict[str, object]:
    """Audit 1,000 rows of breast cancer with one process and with two.

    Once with five explanations of each row, and once with one AXp and one CXp, where all
    of it takes so little that starting the processes counts.  Three rounds in turn, and the
    quickest of each: on shared cores the others measure the neighbours.
    """
    explainer, rows = breast_cancer(1000)
    told: dict[str, object] = {"rows": len(rows), "rounds": 3}
    wishes: dict[str, dict[str, Any]] = {
        "five explanations": {"limit": 5},
        "one AXp and one CXp": {"each": True},
    }
    for name, wish in wishes.items():
        ones, twos, machine = list[Cost](), list[Cost](), list[float]()
        for _ in range(3):
            ones.append(audited(explainer, rows, together=False, **wish)[0])
            twos.append(audited(explainer, rows, together=False, jobs=2, **wish)[0])
            machine.append(_two_at_once())
        one, two = (min(costs, key=lambda cost: cost.wall) for costs in (ones, twos))
        told[name] = {
            "1": one.as_json(len(rows)),
            "2": two.as_json(len(rows)),
            "wall_ratio": round(one.wall / two.wall, 2),
            "wall_ratios": [round(a.wall / b.wall, 2) for a, b in zip(ones, twos, strict=True)],
            "two independent loops": machine,
            "cpu_ratio": round(two.cpu / one.cpu, 2),
            # What two cores of one's own would give: workers share the work, the driver's
            # runs beside.
            "ratio_of_work": round(2 * one.cpu / two.cpu, 2),
        }
    return told


def _two_at_once() -> float:
    """Return how much more two independent processes do than one, at best 2."""
    command = [sys.executable, "-c", "sum(i * i for i in range(10_000_000))"]
    started = time.perf_counter()
    subprocess.run(command, check=True)
    alone = time.perf_counter() - started
    started = time.perf_counter()
    for process in [subprocess.Popen(command) for _ in range(2)]:
        process.wait()
    return round(2 * alone / (time.perf_counter() - started), 2)


def adult_rows(count: int, seconds: float) -> dict[str, object]:
    """Explain rows of Adult, one AXp and one CXp each, with two processes."""
    explainer, rows = adult(count, weights=True)
    points: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "audit.db")
        started, driver = time.perf_counter(), time.process_time()
        pace = iter([1000, 2500, 4000, 6000, 8500, 13000, 20000, 30000, 40000, 60000, 80000, 1e9])
        following = next(pace)

        def note(progress: AuditProgress) -> None:
            nonlocal following
            if progress.done < following:
                return
            while progress.done >= following:
                following = next(pace)
            points.append(point(progress.done))

        def point(done: int) -> dict[str, object]:
            here = resident() or 0
            files = [p for p in Path(folder).iterdir() if p.name.startswith("audit.db")]
            return {
                "rows": done,
                "wall_seconds": round(time.perf_counter() - started, 1),
                "driver_cpu_seconds": round(time.process_time() - driver, 1),
                "workers_cpu_seconds": round(_workers_now() + _children(), 1),
                "driver_megabytes": round(here / 2**20),
                "store_megabytes": round(sum(p.stat().st_size for p in files) / 2**20, 1),
            }

        with measured() as cost:
            summary = audit_rows(
                explainer, rows, store, each=True, jobs=2, seconds=seconds, progress=note
            )
        done = len(summary.complete) + len(summary.open)
        size = store.stat().st_size
        from whyproof.store import Store

        with Store.read(store) as opened:
            shared = sum("same_reason_as" in e.record for e in opened.explanations())
    reached = min(summary.axps, summary.cxps)
    return {
        "asked": count,
        "rows": reached,
        "trees": 100,
        "depth": 3,
        "axps": summary.axps,
        "cxps": summary.cxps,
        "taken_over": summary.taken_over,
        "reasons_shared": shared,
        "open": done - reached,
        **cost.as_json(reached),
        "rows_per_second_by_the_clock": round(reached / cost.wall, 1),
        "rows_per_second_of_two_cores": round(2 * reached / cost.cpu, 1),
        "store_bytes_per_row": round(size / max(reached, 1)),
        "points": points,
    }


def _workers_now() -> float:
    """Return the processor seconds of this process' running children."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            total += (int(fields[11]) + int(fields[12])) / ticks
    return total


def together() -> dict[str, object]:
    """Count equal decisions, and measure what explaining them once saves."""
    told: dict[str, object] = {}
    for name, weights in (("adult", True), ("adult without survey weights", False)):
        explainer, rows = adult(100_000, weights=weights)
        points = np.stack(list(rows.values()))
        with measured() as cost:
            cells = cells_of(explainer.problem(rows[0]), points)
        assert cells is not None
        entry: dict[str, object] = {
            "seconds": round(cost.cpu, 2),
            "equal_values_100000": 100_000 - len(set(equal_rows(points).tolist())),
            "equal_cells_100000": 100_000 - len(set(equal_rows(cells).tolist())),
            "equal_cells_48842": 48_842 - len(set(equal_rows(cells[:48_842]).tolist())),
        }
        if not weights:
            first = equal_rows(cells)
            crowds, sizes = np.unique(first, return_counts=True)
            entry["largest"] = int(sizes.max())
            some = np.flatnonzero(np.isin(first, crowds[np.argsort(-sizes)[:20]]))[:200]
            picked = {int(i): rows[int(i)] for i in some}
            once, summary, _ = audited(explainer, picked, each=True)
            apart, _, _ = audited(explainer, picked, each=True, together=False)
            entry["crowded"] = {
                "rows": len(picked),
                "taken_over": summary.taken_over,
                "once_cpu_ms_per_row": round(1e3 * once.cpu / len(picked), 2),
                "apart_cpu_ms_per_row": round(1e3 * apart.cpu / len(picked), 2),
                "gain": round(apart.cpu / once.cpu, 1),
            }
        told[name] = entry
    return told


def growth() -> dict[str, object]:
    """Measure cost against rows, trees and features."""
    draw = np.random.default_rng(0)
    told: dict[str, object] = {}

    def made(features: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        x = draw.random((count, features))
        return x, (x[:, : max(2, features // 3)].sum(axis=1) > max(2, features // 3) / 2).astype(
            int
        )

    fast_x, fast_y = made(4, 100_000)
    fast = boosted(fast_x, fast_y, 2, 2)
    for count in (100, 1000, 10_000, 100_000):
        rows = dict(enumerate(fast_x[:count]))
        cost, _, size = audited(fast, rows, each=True, together=False)
        told[f"{count} rows"] = {**cost.as_json(count), "store_bytes_per_row": round(size / count)}
    for trees in (10, 50, 100, 200):
        x, y = made(10, 1500)
        cost, _, _ = audited(boosted(x, y, trees, 3), dict(enumerate(x[:60])), each=True)
        told[f"{trees} trees"] = cost.as_json(60)
    for features in (5, 10, 20, 40):
        x, y = made(features, 1500)
        cost, _, _ = audited(boosted(x, y, 50, 3), dict(enumerate(x[:60])), each=True)
        told[f"{features} features"] = cost.as_json(60)
    return told


def inside() -> dict[str, object]:
    """Search one row with two processes: MARCO, SwiftCXp and a portfolio."""
    explainer, rows = breast_cancer(60)
    told: dict[str, object] = {}
    row = rows[0]
    problem, oracle = posed(explainer, row)
    make = partial(posed, explainer, row)
    with measured() as one:
        alone = enumerate_explanations(problem, oracle, bias=Kind.CXP)
        first = {(e.kind, e.members) for e in alone}
    with measured() as two:
        run = enumerate_in_parallel(problem, oracle, make, 2)
        second = {(e.kind, e.members) for e in run}
    told["marco"] = {
        "explanations": len(first),
        "equal": first == second and alone.complete and run.complete,
        "1": one.as_json(),
        "2": two.as_json(),
        "wall_ratio": round(one.wall / two.wall, 2),
        "calls": [alone.statistics.oracle_calls, run.statistics.oracle_calls],
        "found_twice": run._search.twice,  # type: ignore[attr-defined]
    }
    # Questions that take long, as a mixed-integer program: what several processes are for.
    slow = Explainer(explainer.model, explainer.space, encoding="program")
    problem, oracle = posed(slow, row)
    make = partial(posed, slow, row)
    with ParallelOracle(make, 2) as parallel:
        parallel.decide([frozenset()], explainer_meter())
        with measured() as several:
            for number in range(3):
                minimise(problem, parallel, Kind.CXP, strategy="swift", order=_order(number))
        saved = parallel.saved
    with measured() as single:
        for number in range(3):
            minimise(problem, oracle, Kind.CXP, strategy="swift", order=_order(number))
    told["swift"] = {
        "searches": 3,
        "1": single.as_json(),
        "2": several.as_json(),
        "calls_spared": saved,
        "wall_ratio": round(single.wall / several.wall, 2),
    }
    with measured() as race:
        won = first_answer(problem, make, Kind.AXP, ["witness", "swift"])
    told["portfolio"] = {"strategy": won.strategy, **race.as_json()}
    return told


def explainer_meter() -> Any:  # noqa: ANN401
    """Return a meter without limits."""
    from whyproof.engine.budget import Meter

    return Meter()


def _order(number: int) -> list[int]:
    return np.random.default_rng(number).permutation(30).tolist()


def chaos() -> dict[str, object]:
    """Kill 20 workers and drivers of an audit of 200 rows at random."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "bindings"))
    import chaos as attack

    with tempfile.TemporaryDirectory() as folder:
        return attack.main(Path(folder), rows=200, kills=20, seed=0)


def dearness() -> float:
    """Return how much dearer a processor second is now than when trees.json was written.

    The same search as there: all explanations of one row.  On a machine that others use, caches
    and hardware threads are shared, and the same work takes more processor time.
    """
    from benchmarks.trees import _breast_cancer_model

    stored = json.loads((Path(__file__).parent / "results" / "trees.json").read_text())
    model, rows = _breast_cancer_model()
    explainer = Explainer(model)
    explainer.explain(rows[1])
    started = time.process_time()
    found = len(list(explainer.enumerate(rows[2])))
    known = stored["breast_cancer"]["row 2"]
    return (time.process_time() - started) / known["cpu_seconds"] * known["explanations"] / found


SECTIONS: dict[str, Callable[[], dict[str, object]]] = {
    "overhead": overhead,
    "speedup": speedup,
    "together": together,
    "growth": growth,
    "inside": inside,
    "chaos": chaos,
}


def main() -> None:
    """Run sections and merge what they found into the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="+", choices=[*SECTIONS, "adult"])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/scale.json"))
    parser.add_argument("--rows", type=int, default=100_000, help="rows of Adult")
    parser.add_argument("--seconds", type=float, default=3600.0, help="limit for Adult")
    chosen = parser.parse_args()
    for name in chosen.sections:
        section = SECTIONS.get(name) or partial(adult_rows, chosen.rows, chosen.seconds)
        found = section()
        known = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
        known["machine"] = describe_machine("xgboost", "dtai-veritas", "distributed", "ray")
        known[name] = {
            **found,
            "load": round(os.getloadavg()[0], 1),
            "dearness": round(dearness(), 2),
        }
        write_result(chosen.out, known)
        print(json.dumps({name: found}, indent=1))


if __name__ == "__main__":
    main()
