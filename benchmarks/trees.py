"""Tree ensembles: one explanation, all explanations, and the way there from the shell.

    python -m benchmarks.trees --data DIR --out FILE.json [--instances N]

DIR holds ``models`` (XGBoost text dumps) and ``logs_mx`` (a peer's explanation of each
instance by MaxSAT: size and seconds), as ``xreason_aaai22`` of the shared data.

Every abductive explanation is checked by other means than those that found it: its
necessity by replaying each counterexample on a float32 simulation of the model, and,
for the first ``--recheck`` instances of each model, its validity (and the minimality of
contrastive explanations) by a mixed-integer program.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.machine import describe_machine, write_result
from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.ensemble import TreeEnsemble
from whyproof.encodings.trees.milp import TreeMilp, TreeMilpOracle
from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Budget
from whyproof.engine.explanation import Explanation, Kind, Status
from whyproof.engine.minimise import minimise
from whyproof.explainer import Explainer
from whyproof.models import load_model
from whyproof.models.model import Model

RECHECK_SECONDS = 60.0


@dataclass
class Peer:
    """What the peer's log says about one instance."""

    instance: npt.NDArray[np.float64]
    size: int = 0
    seconds: float = 0.0


@dataclass
class Tally:
    """Measurements of one kind on one model."""

    seconds: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    not_proved: int = 0
    witnesses_replayed: int = 0
    rechecked: int = 0
    refuted: int = 0
    undecided: int = 0

    def summary(self) -> dict[str, object]:
        """Return means and maxima in milliseconds."""
        return {
            "mean_ms": round(1e3 * float(np.mean(self.seconds)), 3),
            "max_ms": round(1e3 * float(np.max(self.seconds)), 3),
            "mean_size": round(float(np.mean(self.sizes)), 3),
            "mean_calls": round(float(np.mean(self.calls)), 1),
            "not_proved_minimal": self.not_proved,
            "witnesses_replayed": self.witnesses_replayed,
            "rechecked_by_milp": self.rechecked,
            "refuted_by_milp": self.refuted,
            "undecided_by_milp": self.undecided,
        }


def main() -> None:
    """Run all parts and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with models and logs_mx")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--instances", type=int, default=40, help="first instances of each log")
    parser.add_argument("--recheck", type=int, default=2, help="instances checked by MILP")
    parser.add_argument("--models", default="", help="only models whose name contains this")
    options = parser.parse_args()
    logs = [p for p in sorted((options.data / "logs_mx").glob("*.log")) if options.models in p.stem]
    if not logs:
        sys.exit(f"no logs in {options.data / 'logs_mx'}")
    peers = {}
    for log in logs:
        name = log.stem
        (path,) = (options.data / "models").glob(f"{name}_*")
        peers[name] = against_peer(path, log, options.instances, options.recheck)
        print(_line(name, peers[name]), flush=True)
    ratios = [float(str(entry["axp_ratio"])) for entry in peers.values()]
    summary = {
        "axp_ratio_geometric_mean": round(math.exp(float(np.mean(np.log(ratios)))), 1),
        "axp_ratio_least": round(min(ratios), 1),
        "cxp_over_axp_most": max(float(str(e["cxp_over_axp"])) for e in peers.values()),
    }
    print(summary)
    expected = options.data.parent / "expected" / "wine_full_enumeration.json"
    result = {
        "machine": describe_machine("dtai-veritas", "python-sat", "xgboost", "scikit-learn"),
        "instances": options.instances,
        "summary": summary,
        "peer": peers,
        "wine": wine(expected),
        "breast_cancer": breast_cancer(),
        "start": start_up(),
    }
    for part in ("wine", "breast_cancer", "start"):
        print(part, json.dumps(result[part], indent=1))
    write_result(options.out, result)


def against_peer(path: Path, log: Path, instances: int, recheck: int) -> dict[str, object]:
    """Explain the logged instances of one model, one explanation of each kind."""
    rounds = path.read_text().count("booster[")
    n_classes = max(2, rounds // 50)
    model = load_model(path, classes=[str(k) for k in range(n_classes)])
    logged = list(_read_log(log, model.n_columns))[:instances]
    explainer = Explainer(model)
    for peer in logged:  # compiled once for a model and outcome, not once for a row
        explainer.explain(peer.instance)
    tallies = {kind: Tally() for kind in Kind}
    for kind, tally in tallies.items():
        for peer in logged:
            started = time.process_time()
            problem = explainer.problem(peer.instance)
            oracle = explainer.oracle(problem)
            found = minimise(problem, oracle, kind)
            tally.seconds.append(time.process_time() - started)
            if found is None:
                continue
            tally.sizes.append(len(found))
            tally.calls.append(found.statistics.oracle_calls)
            tally.not_proved += found.status is not Status.MINIMAL
            tally.witnesses_replayed += _replay_again(model, found)
            if len(tally.seconds) <= recheck:
                _recheck(model, explainer, found, tally)
    axp, cxp = tallies[Kind.AXP], tallies[Kind.CXP]
    peer_seconds = float(np.mean([p.seconds for p in logged]))
    peer_size = float(np.mean([p.size for p in logged]))
    return {
        "trees": rounds,
        "classes": n_classes,
        "columns": model.n_columns,
        "instances": len(logged),
        "axp": axp.summary(),
        "cxp": cxp.summary(),
        "peer_mean_seconds": round(peer_seconds, 4),
        "peer_mean_size": round(peer_size, 3),
        "axp_ratio": round(peer_seconds / float(np.mean(axp.seconds)), 1),
        "axp_size_over_peer": round(float(np.mean(axp.sizes)) / peer_size, 3),
        "cxp_over_axp": round(float(np.mean(cxp.seconds) / np.mean(axp.seconds)), 2),
    }


def wine(expected: Path) -> dict[str, object]:
    """Enumerate two decisions of two models completely and compare the exact sets."""
    if not expected.is_file():
        return {"skipped": f"no {expected}"}
    reference = json.loads(expected.read_text())
    entries: dict[str, object] = {}
    for name, model, rows in _wine_models():
        explainer = Explainer(model)
        explainer.explain(rows[2])
        for row in (0, 1):
            best = math.inf
            for _ in range(3):
                started = time.process_time()
                enumeration = explainer.enumerate(rows[row])
                found = list(enumeration)
                best = min(best, time.process_time() - started)
            sets = {kind: sorted(list(e.indices) for e in found if e.kind is kind) for kind in Kind}
            wanted = reference[f"{name}:{row}"]
            entries[f"{name}:{row}"] = {
                "axps": len(sets[Kind.AXP]),
                "cxps": len(sets[Kind.CXP]),
                "complete": enumeration.complete,
                "equal_to_reference": sets[Kind.AXP] == sorted(wanted["enum_axp"])
                and sets[Kind.CXP] == sorted(wanted["enum_cxp"]),
                "cpu_seconds_best_of_3": round(best, 4),
                "oracle_calls": enumeration.statistics.oracle_calls,
            }
    return entries


def breast_cancer(seconds: float = 15.0) -> dict[str, object]:
    """Enumerate decisions of one boosted model for a while."""
    model, rows = _breast_cancer_model()
    explainer = Explainer(model)
    explainer.explain(rows[1])
    entries: dict[str, object] = {}
    for row in (0, 1, 2, 5):
        started = time.process_time()
        enumeration = explainer.enumerate(rows[row])
        found: list[Explanation] = []
        for explanation in enumeration:
            found.append(explanation)
            if time.process_time() - started > seconds:
                break
        spent = time.process_time() - started
        axps = [e.members for e in found if e.kind is Kind.AXP]
        cxps = [e.members for e in found if e.kind is Kind.CXP]
        entries[f"row {row}"] = {
            "explanations": len({(e.kind, e.members) for e in found}),
            "axps": len(axps),
            "cxps": len(cxps),
            "complete": enumeration.complete,
            "dual": set(axps) == _minimal_hitting_sets(cxps) if enumeration.complete else None,
            "proved_minimal": sum(e.status is Status.MINIMAL for e in found),
            "cpu_seconds": round(spent, 3),
            "per_cpu_second": round(len(found) / spent),
        }
    return entries


def start_up() -> dict[str, object]:
    """Measure what a newcomer waits for: the import, and one row from the command line."""
    program = (
        "import time; t = time.perf_counter(); import whyproof; print(time.perf_counter() - t)"
    )
    imports = [
        float(subprocess.run([sys.executable, "-c", program], capture_output=True).stdout)
        for _ in range(5)
    ]
    fitted, rows = _fit_breast_cancer(100)
    save = getattr(fitted, "save_model")  # noqa: B009  # the library has no annotations
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "model.json"), Path(folder, "rows.csv")
        save(paths[0])
        names = ",".join(f"f{i}" for i in range(rows.shape[1]))
        np.savetxt(paths[1], rows[:5], delimiter=",", header=names, comments="", fmt="%.9g")
        command = [sys.executable, "-m", "whyproof", "explain", *map(str, paths), "--row", "0"]
        walls: list[float] = []
        for _ in range(5):
            started = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True)
            walls.append(time.perf_counter() - started)
    return {
        "import_seconds_best_of_5": round(min(imports), 4),
        "explain_one_row_seconds_best_of_5": round(min(walls), 3),
        "explain_exit_code": done.returncode,
        "explain_says": done.stdout.strip().splitlines()[:1],
    }


def _replay_again(model: Model, found: Explanation) -> int:
    """Run every counterexample of an explanation through the model once more."""
    points = [
        answer.point
        for answer in (found.evidence, *found.necessity.values())
        if isinstance(answer, Counterexample)
    ]
    if not points:
        return 0
    outcomes = model.predict(np.array(points))
    if bool((outcomes == found.problem.prediction).any()):
        raise SystemExit(f"a counterexample of {model.source} does not change the decision")
    return len(points)


def _recheck(model: Model, explainer: Explainer, found: Explanation, tally: Tally) -> None:
    """Decide by mixed-integer programming what the explanation says cannot change."""
    structure = model.structure
    if not isinstance(structure, TreeEnsemble):
        return
    milp = TreeMilpOracle(found.problem, TreeMilp(LeafBoxes.of(structure, explainer.space)))
    universe = found.problem.universe
    if found.kind is Kind.AXP:
        entailed = [universe - found.members]
    else:
        entailed = [found.members - {i} for i in found.members]
    for free in entailed:
        answer = milp.decide([free], Budget(seconds=RECHECK_SECONDS).start())[0]
        tally.rechecked += isinstance(answer, Entailed)
        tally.refuted += isinstance(answer, Counterexample)
        tally.undecided += not isinstance(answer, Entailed | Counterexample)


def _read_log(log: Path, columns: int) -> Iterator[Peer]:
    peer: Peer | None = None
    for line in log.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == "i":
            if peer is not None:
                yield peer
            # Columns that the model never tests are not in its dump; they decide nothing.
            peer = Peer(np.array([float(v) for v in value.split(",")])[:columns])
        elif peer is not None and key == "s":
            peer.size = int(value)
        elif peer is not None and key == "t":
            peer.seconds = float(value)
    if peer is not None:
        yield peer


def _minimal_hitting_sets(families: Iterable[frozenset[int]]) -> set[frozenset[int]]:
    """Multiply out a family of sets (Berge): a method that shares nothing with the search."""
    hitting: set[frozenset[int]] = {frozenset()}
    for family in sorted(families, key=len):
        hit = {h for h in hitting if h & family}
        grown = {h | {i} for h in hitting - hit for i in family}
        hitting = hit | {g for g in grown if not any(h <= g for h in hit)}
    return hitting


def _wine_models() -> Iterator[tuple[str, Model, npt.NDArray[np.float64]]]:
    import xgboost
    from sklearn.datasets import load_wine
    from sklearn.ensemble import RandomForestClassifier

    train, test, labels = _split(load_wine(return_X_y=True))
    boosted = xgboost.XGBClassifier(
        n_estimators=50, max_depth=3, tree_method="exact", base_score=0.5, random_state=0
    ).fit(train, labels)
    forest = RandomForestClassifier(n_estimators=50, max_depth=4, random_state=0)
    forest.fit(train, labels)
    yield "xreason", load_model(boosted), test
    yield "rfxpl", load_model(forest, vote="majority"), test


def _breast_cancer_model(trees: int = 50) -> tuple[Model, npt.NDArray[np.float64]]:
    fitted, test = _fit_breast_cancer(trees)
    return load_model(fitted), test


def _fit_breast_cancer(trees: int) -> tuple[object, npt.NDArray[np.float64]]:
    import xgboost
    from sklearn.datasets import load_breast_cancer

    train, test, labels = _split(load_breast_cancer(return_X_y=True))
    fitted = xgboost.XGBClassifier(
        n_estimators=trees, max_depth=3, tree_method="exact", base_score=0.5, random_state=0
    ).fit(train, labels)
    return fitted, test


def _split(
    data: tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    from sklearn.model_selection import train_test_split

    x, y = data
    train, test, labels, _ = train_test_split(
        x.astype(np.float32), y, test_size=0.3, random_state=0, stratify=y
    )
    return train, test.astype(np.float64), labels


def _line(name: str, entry: dict[str, object]) -> str:
    axp, cxp = entry["axp"], entry["cxp"]
    assert isinstance(axp, dict) and isinstance(cxp, dict)
    return (
        f"{name:18s} axp {axp['mean_ms']:8.2f} ms (max {axp['max_ms']:8.2f})  "
        f"peer {1e3 * float(str(entry['peer_mean_seconds'])):9.1f} ms  "
        f"ratio {entry['axp_ratio']:7}  size {axp['mean_size']:6} / {entry['peer_mean_size']:6}  "
        f"cxp {cxp['mean_ms']:7.2f} ms"
    )


if __name__ == "__main__":
    main()
