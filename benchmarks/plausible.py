"""Plausible counterfactuals: the published protocol, our three levels, and other methods.

    python -m benchmarks.plausible --dataset moons,law,wine,blobs,digits,heloc --model mlp,lr \
        --level local,group,global --folds 5 --out FILE.json [--first-fold N] [--cache DIR] \
        [--aim 0.4,0.5,0.6,0.8] [--methods] [--published-weights] [--actionable] \
        [--growth 1000,10000,100000] [--reference-steps 30]

Data come from the folder that ``WHYPROOF_DATA`` names.  Classifiers and flows are trained
once and cached.  Times are CPU seconds of one thread for the whole answer: search, group
choice, last mile and exact repair, without training.

The file is written after each line and a second call goes on where the first one ended:
lines that are there are not measured again, unless the code has changed since, which
throws all of them away, so that a file never mixes two states of the code; parts measured
into files of their own are joined by ``--join FILE ...`` under the same condition.  Tables are
made by ``python -m benchmarks.plausible_table FILE.json``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import data_folder, describe_machine, write_result
from benchmarks.plausible_data import DATASETS, Fold, read_fold
from benchmarks.plausible_published import PUBLISHED
from whyproof.encodings.recourse.actions import Actions
from whyproof.engine.domain import Integers
from whyproof.engine.errors import MissingExtraError
from whyproof.engine.space import FeatureSpace
from whyproof.plausible.backend import Array, numbers, tensor
from whyproof.plausible.baselines.dice import dice
from whyproof.plausible.baselines.glance import glance
from whyproof.plausible.baselines.globe_ce import globe_ce
from whyproof.plausible.baselines.neighbour import nearest_unlike
from whyproof.plausible.baselines.ppcef import ppcef
from whyproof.plausible.baselines.published import published
from whyproof.plausible.baselines.two_step import two_step
from whyproof.plausible.baselines.wachter import wachter
from whyproof.plausible.metrics import Measures
from whyproof.plausible.projection import Projection
from whyproof.plausible.result import Counterfactuals
from whyproof.plausible.search import PlausibleSearch
from whyproof.plausible.settings import Level, Settings

TARGET = 1
GROUPS = {"heloc": 6, "digits": 4}
STEPS = {"local": 838, "global": 1239, "group": 891}
"""Steps that the reference implementation took on HELOC with its own stopping rule."""
UP, DOWN = [4], [17, 18, 19]
FREE = [20]
DECLARED = 100.0
"""Largest value of the column that may only rise, where limits are declared, not seen."""
DICE_ROWS = 20
_FOLDER = Path(__file__).resolve().parent
_SOURCES = (
    *sorted((_FOLDER.parent / "bindings" / "whyproof" / "plausible").rglob("*.py")),
    *(_FOLDER / f"plausible{part}.py" for part in ("", "_data", "_published")),
)

Line = dict[str, object]


@dataclass
class Record:
    """The lines of a result file, each with a key, in the order in which they were measured.

    Parameters
    ----------
    path
        Of the file.
    code
        Hash of everything that is measured.
    lines
        By key.
    """

    path: Path
    code: str
    lines: dict[str, Line] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> Record:
        """Read a file that the same code wrote, or begin anew."""
        code = hashlib.sha256(b"".join(p.read_bytes() for p in _SOURCES)).hexdigest()[:16]
        record = cls(path, code)
        if path.exists():
            held = json.loads(path.read_text())
            if held.get("code") == code:
                record.lines = {line["key"]: line for line in held["runs"]}
        return record

    def add(self, key: str, measure: Callable[[], Line]) -> None:
        """Measure a line that is not there yet, show and write it."""
        if key in self.lines:
            return
        self.lines[key] = {"key": key, "load": describe_machine()["load"], **measure()}
        say(self.lines[key])
        self.write()

    def join(self, other: Record) -> None:
        """Add the lines of another file; of two of the same key the one that is here stays."""
        self.lines = {**other.lines, **self.lines}
        self.write()

    def write(self) -> None:
        """Write all lines and their means."""
        runs = list(self.lines.values())
        result: Line = {
            "machine": describe_machine("torch", "scikit-learn", "onnxruntime"),
            "protocol": "StratifiedKFold(5, shuffle, 4); test rows predicted 0 -> 1; seed 0",
            "code": self.code,
            "runs": runs,
            "means": means(runs),
        }
        write_result(self.path, result)


def main() -> None:
    """Run what was asked for and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--dataset", default="heloc")
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--level", default="local,group,global")
    parser.add_argument("--folds", type=int, default=1)
    parser.add_argument("--first-fold", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(".cache-plausible"))
    parser.add_argument("--methods", action="store_true", help="run other methods as well")
    parser.add_argument("--published-weights", action="store_true", help="HELOC: reference nets")
    parser.add_argument("--actionable", action="store_true", help="HELOC: five features")
    parser.add_argument("--aim", default="0.4,0.5,0.6,0.8", help="also aim at these quantiles")
    parser.add_argument("--growth", default="", help="numbers of rows of the growth run")
    parser.add_argument("--reference-steps", type=int, default=0, help="steps of the reference")
    parser.add_argument("--join", type=Path, nargs="*", default=(), help="files of the same code")
    options = parser.parse_args()
    torch.set_num_threads(1)
    record = Record.open(options.out)
    for path in options.join:
        record.join(Record.open(path))
    for dataset in options.dataset.split(","):
        if dataset not in DATASETS:
            parser.error(f"no dataset {dataset!r}; known are {', '.join(DATASETS)}")
        for kind in options.model.split(","):
            for number in range(options.first_fold, options.folds):
                theirs = options.published_weights and kind == "mlp" and number == 0
                fold = read_fold(
                    data_folder(), dataset, number, kind, options.cache, published=theirs
                )
                run_fold(fold, options, record, theirs)


def run_fold(fold: Fold, options: argparse.Namespace, record: Record, theirs: bool) -> None:
    """Run all levels and methods on one fold."""
    search = searcher(fold)
    measures = Measures(search, fold.train)
    rows = fold.test[fold.test_predicted == 0]
    unit = tensor(fold.scale.to_unit(rows))
    about: Line = {
        "dataset": fold.dataset,
        "model": fold.model_kind,
        "fold": fold.number,
        "weights": "reference" if theirs else "own",
        "rows": len(rows),
        "accuracy": float((fold.test_predicted == fold.test_labels).mean()),
        "training": fold.training,
    }
    stem = f"{fold.dataset} {fold.model_kind} {fold.number} {about['weights']}"
    aims = [None, *(float(a) for a in options.aim.split(",") if a)]
    for level in options.level.split(","):
        for aim in aims:
            task = partial(ours, fold, search, measures, rows, about, level, aim)
            record.add(f"{stem} {level} {aim}", task)
    for name in METHODS if options.methods else ():
        record.add(f"{stem} {name}", partial(other, name, fold, about, search, measures, unit))
    for declared in (False, True) if options.actionable and fold.dataset == "heloc" else ():
        task = partial(actionable, fold, about, rows, declared)
        record.add(f"{stem} actionable {declared}", task)
    for level in options.level.split(",") if options.reference_steps else ():
        task = partial(reference, fold, about, search, unit, level, options.reference_steps)
        record.add(f"{stem} reference {level}", task)
    for count in (int(c) for c in options.growth.split(",") if c):
        for level in options.level.split(","):
            task = partial(growth, about, search, rows, count, level)
            record.add(f"{stem} growth {count} {level}", task)


def searcher(
    fold: Fold,
    actions: Actions | None = None,
    box: dict[str, tuple[float, float]] | None = None,
) -> PlausibleSearch:
    """Return the search of a fold: whole columns are integers, the box is the training fold's."""
    space = space_of(fold)
    return PlausibleSearch.fit(
        fold.model,
        fold.train,
        target=TARGET,
        space=space,
        actions=actions,
        box=box,
        density=fold.flow,
        scale=fold.scale,
    )


def space_of(fold: Fold) -> FeatureSpace:
    """Return the columns of a fold; those that are whole in the training fold stay whole."""
    whole = (fold.train == np.rint(fold.train)).all(axis=0)
    kinds = {name: Integers() for name, w in zip(fold.names, whole, strict=True) if w}
    return FeatureSpace.of(fold.names, kinds)


def answer(
    search: PlausibleSearch, rows: Array, level: str, groups: int, aim: float | None = None
) -> Counterfactuals:
    """Run one level with its preset, or aiming at a higher density."""
    if level == "local":
        return search.local(rows, settings=replace(Settings.local(), aim=aim))
    if level == "global":
        return search.everyone(rows, settings=replace(Settings.everyone(), aim=aim))
    settings = replace(Settings.group(), aim=aim)
    return search.groups(rows, min(groups, len(rows)), settings=settings)


def ours(
    fold: Fold,
    search: PlausibleSearch,
    measures: Measures,
    rows: Array,
    about: Line,
    level: str,
    aim: float | None,
) -> Line:
    """Run one level and measure it."""
    began = time.process_time()
    found = answer(search, rows, level, GROUPS.get(fold.dataset, 4), aim)
    line = entry(about, level, found, measures, time.process_time() - began)
    if aim is None:
        return line
    return {**line, "method": f"whyproof, aim {aim}", "aim": aim}


def entry(
    about: Line, level: str, found: Counterfactuals, measures: Measures, spent: float
) -> Line:
    """Return one line of the result."""
    published_row = PUBLISHED.get((str(about["model"]), str(about["dataset"]), level))
    proposed = rounded(measures.of(found))
    share = None if published_row is None else published_row["validity"]
    if share is not None and share < proposed["validity_all"]:
        # Theirs leaves out rows: the nearest as many of ours.
        unit = measures.search.scale.to_unit
        far = np.linalg.norm(unit(found.points) - unit(found.origin), axis=1)
        nearest = np.sort(far[found.valid])[: max(1, round(share * len(found)))]
        proposed["l2_at_published_validity"] = round(float(nearest.mean()), 4)
    return {
        **about,
        "method": "whyproof",
        "level": level,
        "cpu_s": round(spent, 2),
        "relaxed": rounded(measures.of(found, relaxed=True)),
        "proposed": proposed,
        "outcomes": found.summary()["outcomes"],
        "group_sizes": [len(group.members) for group in found.groups],
        "seconds": found.summary()["statistics"],
        "published": published_row,
    }


METHODS = {
    "wachter": "local",
    "ppcef": "local",
    "globe-ce": "global",
    "glance": "group",
    "two-step": "group",
    "nearest unlike": "local",
    "dice": "local",
}
"""Other methods and the level that they answer."""


def other(
    name: str,
    fold: Fold,
    about: Line,
    search: PlausibleSearch,
    measures: Measures,
    unit: torch.Tensor,
) -> Line:
    """Run another method on the same model, box and rows."""
    rows = fold.test[fold.test_predicted == 0]
    landscape = search.landscape(Settings())
    bounds = Projection(search.reach, search.scale, rows, search.device)
    others = tensor(fold.scale.to_unit(fold.train[fold.train_predicted == TARGET]))
    count = min(GROUPS.get(fold.dataset, 4), len(rows))
    line: Line = {**about, "method": name, "level": METHODS[name]}
    if name == "dice":
        rows = rows[:DICE_ROWS]
        line["rows_tried"] = len(rows)
    near = unit
    if name == "two-step":
        near = tensor(fold.scale.to_unit(search.local(rows).relaxed))
    began = time.process_time()
    group: torch.Tensor | None = None
    match name:
        case "wachter":
            found = wachter(landscape, bounds, unit)
        case "ppcef":
            found = ppcef(landscape, bounds, unit, steps=1500)
        case "globe-ce":
            found = globe_ce(landscape, bounds, unit)
        case "glance":
            found, group = glance(landscape, bounds, unit, others, count)
        case "two-step":
            found, group = two_step(landscape, bounds, unit, near, count)
        case "nearest unlike":
            found = nearest_unlike(bounds, unit, others)
        case _:
            try:
                made = dice(search.subject, fold.train, rows, TARGET)
            except MissingExtraError as error:
                return {**line, "skipped": str(error)}
            found = tensor(fold.scale.to_unit(made))
    spent = time.process_time() - began
    points = fold.scale.from_unit(numbers(found))
    labels = None if group is None else np.asarray(group)
    return {
        **line,
        "cpu_s": round(spent, 2),
        "relaxed": rounded(measures.of_points(rows, points, group=labels)),
        "proposed": rounded(
            measures.of_points(rows, search.reach.snap(rows, points), group=labels)
        ),
    }


def actionable(fold: Fold, about: Line, rows: Array, declared: bool) -> Line:
    """Run the published case study: five features may move, four of them one way only.

    Limits are those of the training rows; with `declared`, the column that may only rise
    may end above all rows seen.
    """
    names = fold.names
    free = {*UP, *DOWN, *FREE}
    space = space_of(fold)
    rules = Actions.of(
        space,
        up=[names[i] for i in UP],
        down=[names[i] for i in DOWN],
        stay=[name for i, name in enumerate(names) if i not in free],
    )
    box = {names[i]: (0.0, DECLARED) for i in UP} if declared else None
    search = searcher(fold, rules, box)
    measures = Measures(search, fold.train)
    # Rows that the shared shift leaves implausible may take steps of their own.
    settings = replace(Settings.group(), repair="plausibility", repair_seconds=300.0)
    began = time.process_time()
    found = search.groups(rows, 6, settings=settings)
    line = entry(about, "group", found, measures, time.process_time() - began)
    away = found.points[found.valid] - found.origin[found.valid]
    still = [i for i in range(len(names)) if i not in free]
    outcomes = [str(outcome) for outcome in found.outcomes]
    possible = len(rows) - outcomes.count("impossible")
    return {
        **line,
        "case": f"actionable, {'declared' if declared else 'training'} limits",
        "published": {"validity": 0.910, "l2": 0.413, "plausibility": 0.213, "groups": 6},
        "wrong_signs": int((away[:, UP] < 0).sum() + (away[:, DOWN] > 0).sum()),
        "frozen_moved": int((away[:, still] != 0).sum()),
        "proved_impossible": outcomes.count("impossible"),
        "undecided": outcomes.count("not found"),
        "validity_of_possible": round(float(found.valid.sum()) / max(possible, 1), 4),
    }


def reference(
    fold: Fold,
    about: Line,
    search: PlausibleSearch,
    unit: torch.Tensor,
    level: Level,
    steps: int,
) -> Line:
    """Time the published loss, run the reference way, in the same run."""
    spent: list[float] = []
    # The first run pays for what torch sets up once.
    for count in (3, steps):
        began = time.process_time()
        published(
            fold.model,
            fold.flow,
            search.threshold.score,
            TARGET,
            unit,
            level=level,
            steps=count,
        )
        spent.append(time.process_time() - began)
    each = spent[1] / steps
    return {
        **about,
        "method": "reference loss, reference way",
        "level": level,
        "steps_timed": steps,
        "cpu_s_per_step": round(each, 5),
        "steps_of_reference": STEPS[level],
        "cpu_s_estimated": round(each * STEPS[level], 1),
    }


def growth(about: Line, search: PlausibleSearch, rows: Array, count: int, level: str) -> Line:
    """Repeat rows, jittered on their lattice, until they are so many, and measure time."""
    random = np.random.default_rng(0)
    many = rows[random.integers(len(rows), size=round(1.05 * count))]
    jitter = random.integers(-1, 2, size=many.shape) * (random.random(many.shape) < 0.2)
    many = np.clip(many + jitter, rows.min(axis=0), rows.max(axis=0))
    many = many[search.subject.says(many) != TARGET][:count]
    began = time.process_time()
    found = answer(search, many, level, 6)
    spent = time.process_time() - began
    summary = found.summary()
    return {
        **about,
        "method": "whyproof",
        "case": "growth",
        "level": level,
        "growth_rows": len(many),
        "cpu_s": round(spent, 2),
        "cpu_ms_per_row": round(1e3 * spent / len(many), 3),
        "valid": summary["valid"],
        "plausible": summary["plausible"],
        "outside_constraints": summary["outside_constraints"],
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def means(runs: list[Line]) -> list[Line]:
    """Average the folds of each data set, model and level."""
    keys = sorted(
        {
            (str(r["dataset"]), str(r["model"]), str(r["method"]), str(r["level"]))
            for r in runs
            if "proposed" in r and "case" not in r and r["weights"] == "own"
        }
    )
    lines: list[Line] = []
    for key in keys:
        mine = [
            r
            for r in runs
            if (r["dataset"], r["model"], r["method"], r["level"]) == key
            and "proposed" in r
            and "case" not in r
            and r["weights"] == "own"
        ]
        line: Line = dict(zip(("dataset", "model", "method", "level"), key, strict=True))
        line["folds"] = len(mine)
        line["cpu_s"] = round(float(np.mean([float(str(r["cpu_s"])) for r in mine])), 2)
        for stage in ("relaxed", "proposed"):
            parts: list[dict[str, float]] = [r[stage] for r in mine]  # type: ignore[misc]
            line[stage] = {
                name: round(float(np.mean([p[name] for p in parts if name in p])), 4)
                for name in {n: None for p in parts for n in p}
            }
        line["published"] = PUBLISHED.get((key[1], key[0], key[3]))
        lines.append(line)
    return lines


def rounded(values: dict[str, float]) -> dict[str, float]:
    """Return values with four digits after the point."""
    return {name: round(value, 4) for name, value in values.items()}


def say(line: Line) -> None:
    """Print one line as it comes."""
    parts: list[str] = [str(line.get("dataset", "")), str(line.get("fold", ""))]
    parts += [str(line.get("method")), str(line.get("level")), f"cpu {line.get('cpu_s')}"]
    for stage in ("relaxed", "proposed"):
        values = line.get(stage)
        if isinstance(values, dict):
            shown = ("validity_all", "l2", "plausibility", "log_density", "outside")
            parts.append(stage + " " + " ".join(f"{k}={values.get(k)}" for k in shown))
    if "group_sizes" in line:
        parts.append(f"groups {line['group_sizes']}")
    if line.get("method") != "whyproof" or line.get("case"):
        extra = ("cpu_s_per_step", "cpu_s_estimated", "growth_rows", "cpu_ms_per_row")
        parts += [f"{k}={line[k]}" for k in extra if k in line]
    print(" | ".join(parts), flush=True)


if __name__ == "__main__":
    main()
