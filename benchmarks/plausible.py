"""Plausible counterfactuals: the published protocol, our three levels, and other methods.

    python -m benchmarks.plausible --dataset moons,law,wine,blobs,digits,heloc --model mlp,lr \
        --level local,group,global --folds 5 --out FILE.json [--cache DIR] [--methods] \
        [--published-weights] [--actionable] [--growth 100000] [--reference-steps 30]

Data come from the folder that ``WHYPROOF_DATA`` names.  Classifiers and flows are trained
once and cached.  Times are CPU seconds of one thread for the whole answer: search, group
choice, last mile and exact repair, without training.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import data_folder, describe_machine, write_result
from benchmarks.plausible_data import DATASETS, Fold, read_fold
from benchmarks.plausible_published import PUBLISHED
from whyproof.encodings.recourse.actions import Actions
from whyproof.engine.domain import Integers
from whyproof.engine.space import FeatureSpace
from whyproof.plausible.backend import Array, numbers, tensor
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
from whyproof.plausible.settings import Settings

TARGET = 1
GROUPS = {"heloc": 6, "digits": 4}
STEPS = {"local": 838, "global": 1239, "group": 891}
"""Steps that the reference implementation took on HELOC with its own stopping rule."""
UP, DOWN = [4], [17, 18, 19]
FREE = [20]


def main() -> None:
    """Run what was asked for and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--dataset", default="heloc")
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--level", default="local,group,global")
    parser.add_argument("--folds", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(".cache-plausible"))
    parser.add_argument("--methods", action="store_true", help="run other methods as well")
    parser.add_argument("--published-weights", action="store_true", help="HELOC: reference nets")
    parser.add_argument("--actionable", action="store_true", help="HELOC: five features")
    parser.add_argument("--aim", type=float, default=0.6, help="also aim at this quantile; 0: no")
    parser.add_argument("--growth", type=int, default=0, help="most rows of the growth run")
    parser.add_argument("--reference-steps", type=int, default=0, help="steps of the reference")
    options = parser.parse_args()
    torch.set_num_threads(1)
    runs: list[dict[str, object]] = []
    for dataset in options.dataset.split(","):
        if dataset not in DATASETS:
            parser.error(f"no dataset {dataset!r}; known are {', '.join(DATASETS)}")
        for kind in options.model.split(","):
            for number in range(options.folds):
                fold = read_fold(
                    data_folder(),
                    dataset,
                    number,
                    kind,
                    options.cache,
                    published=options.published_weights and kind == "mlp" and number == 0,
                )
                runs += run_fold(fold, options)
    result: dict[str, object] = {
        "machine": describe_machine("torch", "scikit-learn", "onnxruntime"),
        "protocol": "StratifiedKFold(5, shuffle, 4); test rows predicted 0 -> 1; seed 0",
        "runs": runs,
        "means": means(runs),
    }
    write_result(options.out, result)


def run_fold(fold: Fold, options: argparse.Namespace) -> list[dict[str, object]]:
    """Run all levels and methods on one fold."""
    search = searcher(fold)
    measures = Measures(search, fold.train)
    rows = fold.test[fold.test_predicted == 0]
    about: dict[str, object] = {
        "dataset": fold.dataset,
        "model": fold.model_kind,
        "fold": fold.number,
        "rows": len(rows),
        "accuracy": float((fold.test_predicted == fold.test_labels).mean()),
        "training": fold.training,
    }
    done: list[dict[str, object]] = []
    local: Counterfactuals | None = None
    for level in options.level.split(","):
        began = time.process_time()
        found = answer(search, rows, level, GROUPS.get(fold.dataset, 4))
        spent = time.process_time() - began
        local = found if level == "local" else local
        done.append(entry(about, level, found, measures, spent))
        say(done[-1])
        if options.aim:
            began = time.process_time()
            found = answer(search, rows, level, GROUPS.get(fold.dataset, 4), options.aim)
            line = entry(about, level, found, measures, time.process_time() - began)
            done.append({**line, "method": "whyproof, dense", "aim": options.aim})
            say(done[-1])
    unit = tensor(fold.scale.to_unit(rows))
    if options.methods:
        done += [{**about, **line} for line in methods(fold, search, measures, rows, unit, local)]
    if options.actionable and fold.dataset == "heloc":
        done.append(actionable(fold, about, rows))
        say(done[-1])
    if options.reference_steps:
        done += [
            {**about, **reference(fold, search, unit, level, options.reference_steps)}
            for level in options.level.split(",")
        ]
    if options.growth:
        done += [{**about, **line} for line in growth(search, rows, options.growth)]
    return done


def searcher(fold: Fold, actions: Actions | None = None) -> PlausibleSearch:
    """Return the search of a fold: whole columns are integers, the box is the training fold's."""
    space = space_of(fold)
    return PlausibleSearch.fit(
        fold.model,
        fold.train,
        target=TARGET,
        space=space,
        actions=actions,
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


def entry(
    about: dict[str, object], level: str, found: Counterfactuals, measures: Measures, spent: float
) -> dict[str, object]:
    """Return one line of the result."""
    published_row = PUBLISHED.get((str(about["model"]), str(about["dataset"]), level))
    return {
        **about,
        "method": "whyproof",
        "level": level,
        "cpu_s": round(spent, 2),
        "relaxed": rounded(measures.of(found, relaxed=True)),
        "proposed": rounded(measures.of(found)),
        "outcomes": found.summary()["outcomes"],
        "group_sizes": [len(group.members) for group in found.groups],
        "seconds": found.summary()["statistics"],
        "published": published_row,
    }


def methods(
    fold: Fold,
    search: PlausibleSearch,
    measures: Measures,
    rows: Array,
    unit: torch.Tensor,
    local: Counterfactuals | None,
) -> list[dict[str, object]]:
    """Run the other methods on the same models, box and rows."""
    landscape = search.landscape(Settings())
    bounds = Projection(search.reach, search.scale, rows, search.device)
    others = tensor(fold.scale.to_unit(fold.train[fold.train_predicted == TARGET]))
    count = min(GROUPS.get(fold.dataset, 4), len(rows))
    start = local.relaxed if local is not None else search.local(rows).relaxed
    near = tensor(fold.scale.to_unit(start))
    runs = {
        "wachter": lambda: (wachter(landscape, bounds, unit), None),
        "ppcef": lambda: (ppcef(landscape, bounds, unit, steps=1500), None),
        "globe-ce": lambda: (globe_ce(landscape, bounds, unit), None),
        "glance": lambda: glance(landscape, bounds, unit, others, count),
        "two-step": lambda: two_step(landscape, bounds, unit, near, count),
        "nearest unlike": lambda: (nearest_unlike(bounds, unit, others), None),
    }
    lines: list[dict[str, object]] = []
    for name, run in runs.items():
        began = time.process_time()
        points, group = run()
        spent = time.process_time() - began
        points = fold.scale.from_unit(numbers(points))
        labels = None if group is None else np.asarray(group)
        lines.append(
            {
                "method": name,
                "level": {"wachter": "local", "ppcef": "local", "nearest unlike": "local"}.get(
                    name, "global" if name == "globe-ce" else "group"
                ),
                "cpu_s": round(spent, 2),
                "relaxed": rounded(measures.of_points(rows, points, group=labels)),
                "proposed": rounded(
                    measures.of_points(rows, search.reach.snap(rows, points), group=labels)
                ),
            }
        )
        say(lines[-1])
    return lines


def actionable(fold: Fold, about: dict[str, object], rows: Array) -> dict[str, object]:
    """Run the published case study: five features may move, four of them one way only."""
    names = fold.names
    free = {*UP, *DOWN, *FREE}
    space = space_of(fold)
    rules = Actions.of(
        space,
        up=[names[i] for i in UP],
        down=[names[i] for i in DOWN],
        stay=[name for i, name in enumerate(names) if i not in free],
    )
    search = searcher(fold, rules)
    measures = Measures(search, fold.train)
    began = time.process_time()
    found = search.groups(rows, 6)
    line = entry(about, "group", found, measures, time.process_time() - began)
    away = found.points[found.valid] - found.origin[found.valid]
    still = [i for i in range(len(names)) if i not in free]
    return {
        **line,
        "case": "actionable",
        "published": {"validity": 0.910, "l2": 0.413, "plausibility": 0.213, "groups": 6},
        "wrong_signs": int((away[:, UP] < 0).sum() + (away[:, DOWN] > 0).sum()),
        "frozen_moved": int((away[:, still] != 0).sum()),
    }


def reference(
    fold: Fold, search: PlausibleSearch, unit: torch.Tensor, level: str, steps: int
) -> dict[str, object]:
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
            level=level,  # type: ignore[arg-type]
            steps=count,
        )
        spent.append(time.process_time() - began)
    each = spent[1] / steps
    line: dict[str, object] = {
        "method": "reference loss, reference way",
        "level": level,
        "steps_timed": steps,
        "cpu_s_per_step": round(each, 5),
        "steps_of_reference": STEPS[level],
        "cpu_s_estimated": round(each * STEPS[level], 1),
    }
    say(line)
    return line


def growth(search: PlausibleSearch, rows: Array, most: int) -> list[dict[str, object]]:
    """Repeat rows, jittered on their lattice, and measure time as rows grow tenfold."""
    random = np.random.default_rng(0)
    lines: list[dict[str, object]] = []
    counts = [c for c in (1_000, 10_000, 100_000) if c <= most]
    for count in counts:
        many = rows[random.integers(len(rows), size=count)]
        jitter = random.integers(-1, 2, size=many.shape) * (random.random(many.shape) < 0.2)
        many = np.clip(many + jitter, rows.min(axis=0), rows.max(axis=0))
        many = many[search.subject.says(many) != TARGET]
        for level in ("local", "group", "global"):
            began = time.process_time()
            found = answer(search, many, level, 6)
            spent = time.process_time() - began
            lines.append(
                {
                    "method": "whyproof",
                    "case": "growth",
                    "level": level,
                    "growth_rows": len(many),
                    "cpu_s": round(spent, 2),
                    "cpu_ms_per_row": round(1e3 * spent / len(many), 3),
                    "valid": found.summary()["valid"],
                }
            )
            say(lines[-1])
    return lines


def means(runs: list[dict[str, object]]) -> list[dict[str, object]]:
    """Average the folds of each data set, model and level."""
    keys = sorted(
        {
            (str(r["dataset"]), str(r["model"]), str(r["method"]), str(r["level"]))
            for r in runs
            if "proposed" in r and "case" not in r
        }
    )
    lines: list[dict[str, object]] = []
    for key in keys:
        mine = [
            r
            for r in runs
            if (r["dataset"], r["model"], r["method"], r["level"]) == key
            and "proposed" in r
            and "case" not in r
        ]
        line: dict[str, object] = dict(
            zip(("dataset", "model", "method", "level"), key, strict=True)
        )
        line["folds"] = len(mine)
        line["cpu_s"] = round(float(np.mean([r["cpu_s"] for r in mine])), 2)  # type: ignore[arg-type]
        for stage in ("relaxed", "proposed"):
            parts: list[dict[str, float]] = [r[stage] for r in mine]  # type: ignore[misc]
            line[stage] = {
                name: round(float(np.mean([p[name] for p in parts if name in p])), 4)
                for name in parts[0]
            }
        line["published"] = PUBLISHED.get((key[1], key[0], key[3]))
        lines.append(line)
    return lines


def rounded(values: dict[str, float]) -> dict[str, float]:
    """Return values with four digits after the point."""
    return {name: round(value, 4) for name, value in values.items()}


def say(line: dict[str, object]) -> None:
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
