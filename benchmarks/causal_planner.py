"""The planner: published examples, equality with enumeration, growth, and an audit.

    python -m benchmarks.causal --parts planner --out FILE.json

Worlds and the enumeration are those of the tests.  Seconds are CPU seconds; "after load"
leaves out reading the world's text.  The audit needs the tables of the data folder.
"""

from __future__ import annotations

import importlib.util
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.machine import data_folder
from whyproof.asp.planning import Planner, PlanOptions, PlanStatus, goal_states
from whyproof.asp.rules import Body, Literal, Operator, Rule, RuleSet
from whyproof.asp.worlds import (
    CausalRule,
    Change,
    Goal,
    World,
    WorldFeature,
    compile_world,
    read_world_rules,
    world_from_toml,
)
from whyproof.engine.domain import Categories

ROOT = Path(__file__).resolve().parents[1]
RANDOM_WORLDS = 1200
AUDITED_ROWS = 1000
REFERENCE = {
    "adult, 7 x 6 values": "no answer in 120 s (s(CASP), the authors' program)",
    "adult, 4 x 4 values": "78.4 s CPU to the first answer",
    "loan example 2": "2.6 s to one path (authors' program)",
}
"""Measured earlier with SWI-Prolog 9.0.4 and s(CASP) 1.1.4 on the authors' programs."""

GERMAN = """
name = "german credit"
[goal]
desired = ["good"]
[features.checking_account_status]
[features.duration_months]
lower = 4
upper = 72
[features.credit_history]
change = "immutable"
[features.credit_amount]
lower = 250
upper = 18424
[features.present_employment_since]
change = "immutable"
[features.property]
[features.job]
[features.age_years]
change = "up"
lower = 19
upper = 100
[features.housing]
[features.savings]
[features.personal_status_sex]
change = "frozen"
[features.foreign_worker]
change = "frozen"
"""
GERMAN_RULES = """
label(X,'good') :- checking_account_status(X,'no_checking_account').
label(X,'good') :- not checking_account_status(X,'no_checking_account'),
    not credit_history(X,'all_at_this_bank_paid_duly'), duration_months(X,N1), N1=<21.0,
    credit_amount(X,N2), not(N2=<428.0), not ab1(X,'True').
ab1(X,'True') :- property(X,'car_or_other'), credit_amount(X,N2), N2=<1345.0.
present_employment_since != unemployed :- job != unemployed_or_unskilled_non_resident.
present_employment_since = unemployed :- job = unemployed_or_unskilled_non_resident.
"""
HARD_RULES = """
checking_account_status != no_checking_account :- savings = lt_100.
duration_months > 21 :- credit_amount > 5000.
"""


def measure(splits: int = 5) -> dict[str, object]:
    """Return everything that is measured about the planner."""
    del splits
    return {
        "published": published(),
        "enumeration": enumeration(RANDOM_WORLDS),
        "growth": growth(),
        "thirty_features": thirty_features(),
        "audit": audit(),
        "reference": REFERENCE,
        "scasp": scasp(),
    }


def published() -> dict[str, object]:
    """Run the examples of the CoGS paper."""
    worlds = _module("tests/asp/published_worlds.py")
    person = {"debt": 5000, "balance": 40000, "credit_score": 619, "age": 30}
    easy = {"debt": 0, "balance": 40000, "credit_score": 620, "age": 28}
    bob = {
        "marital_status": "Never-married",
        "relationship": "Unmarried",
        "sex": "Male",
        "capital_gain": 6000,
        "education_num": 7,
        "age": 28,
    }
    credit = {
        "checking_account_status": "lt_0",
        "credit_history": "paid_duly",
        "property": "real_estate",
        "duration_months": 36,
        "credit_amount": 3000,
        "present_employment_since": "1_to_4",
        "job": "skilled",
    }
    german = worlds.german
    return {
        "loan_1": _planned(worlds.loan(), easy),
        "loan_2": _planned(worlds.loan(), person),
        "adult_full_domains": _planned(worlds.adult(), bob),
        "car_goal_states": len(goal_states(worlds.car())[1]),
        "german_to_good": _planned(german(Goal(desired=("good",))), credit),
        "german_from_good": _planned(
            german(Goal(undesired=("good",))), credit | {"duration_months": 12}
        ),
    }


def _planned(world: World, state: Mapping[str, object], repeats: int = 15) -> dict[str, object]:
    plan, seconds = _timed(lambda: Planner(world).plan(state), repeats)
    return {
        "length": plan.length,
        "paths": len(plan.paths),
        "status": str(plan.status),
        "first": str(plan.paths[0]) if plan.paths else "",
        "seconds": seconds,
    }


def enumeration(count: int) -> dict[str, object]:
    """Compare with plain enumeration on random worlds of up to five features."""
    brute_force = _module("tests/asp/brute_force.py")
    compared = differences = unreachable = 0
    lengths: dict[str, int] = {}
    ours = theirs = 0.0
    seed = 10_000
    while compared < count:
        seed += 1
        world, start = brute_force.random_world(seed)
        if world.violated(start):
            continue
        compared += 1
        started = time.process_time()
        brute = brute_force.BruteForce(world, start)
        length, paths = brute.shortest()
        theirs += time.process_time() - started
        started = time.process_time()
        horizon = 12 if length is None else length
        plan = Planner(world, PlanOptions(horizon=horizon, limit=None)).plan(start)
        ours += time.process_time() - started
        problem = compile_world(world, start)
        wanted = {
            tuple(problem.encode(dict(zip(world.names, state, strict=True))) for state in path)
            for path in paths
        }
        found = [path.cells for path in plan.paths]
        same = (
            plan.length == length
            and len(found) == len(set(found))
            and set(found) == wanted
            and (plan.status is PlanStatus.UNREACHABLE) == (length is None)
        )
        differences += not same
        unreachable += length is None
        lengths[str(length)] = lengths.get(str(length), 0) + 1
    return {
        "worlds": compared,
        "differences": differences,
        "unreachable": unreachable,
        "lengths": dict(sorted(lengths.items())),
        "planner_seconds": round(ours, 2),
        "enumeration_seconds": round(theirs, 2),
    }


def growth() -> dict[str, object]:
    """Plan in worlds of growing domains and growing numbers of features."""
    return {"adult": _adult_growth(), "random": _random_growth()}


def _adult_growth() -> list[dict[str, object]]:
    """All minimal paths of the published example with more and more further values."""
    worlds = _module("tests/asp/published_worlds.py")
    person = {
        "marital_status": "Never-married",
        "relationship": "Unmarried",
        "sex": "Male",
        "capital_gain": 6000,
        "education_num": 7,
        "age": 28,
    }
    rows: list[dict[str, object]] = []
    for further in (0, 10, 50, 100, 200):
        world = worlds.adult()
        names = [f"further {k}" for k in range(further)]
        features = tuple(
            replace(f, domain=Categories(values=(*f.names, *names)))
            if f.name in ("marital_status", "relationship")
            else f
            for f in world.features
        )
        found = _planned(replace(world, features=features), person, repeats=5)
        rows.append({"values": f"{7 + further} x {6 + further}", **found})
    return rows


def _random_growth() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for features, values in ((10, 50), (20, 50), (40, 50), (80, 50), (30, 100), (30, 200)):
        world, start = random_large(1, features=features, values=values, rules=2 * features)
        plan, seconds = _timed(lambda w=world, s=start: Planner(w, PlanOptions(limit=1)).plan(s), 1)
        rows.append(
            {
                "features": features,
                "values": values,
                "causal_rules": 2 * features,
                "length": plan.length,
                "status": str(plan.status),
                "ground_rules": plan.statistics.get("rules"),
                "seconds": seconds,
            }
        )
    return rows


def thirty_features() -> dict[str, object]:
    """Time the first minimal path with 30 features, 50 values each, 60 causal rules."""
    found: list[dict[str, object]] = []
    for seed in range(10):
        world, start = random_large(seed, features=30, values=50, rules=60)
        plan, seconds = _timed(lambda w=world, s=start: Planner(w, PlanOptions(limit=1)).plan(s), 1)
        found.append({"seed": seed, "length": plan.length, "seconds": seconds})
    times = [float(str(entry["seconds"])) for entry in found]
    return {"worlds": found, "median": statistics.median(times), "most": max(times)}


def random_large(
    seed: int, *, features: int, values: int, rules: int, decisions: int = 6
) -> tuple[World, dict[str, object]]:
    """Make a large world and a consistent, rejected start in it."""
    r = random.Random(seed)
    changes = [Change.ANY] * 4 + [Change.UP, Change.DOWN, Change.IMMUTABLE]
    names = tuple(f"v{j}" for j in range(values))
    made = [
        WorldFeature(f"f{i}", Categories(values=names), r.choice(changes)) for i in range(features)
    ]
    start: dict[str, object] = {f.name: r.choice(names) for f in made}

    def literal(feature: WorldFeature) -> Literal:
        chosen = r.sample(names, r.randint(values // 4, 3 * values // 4))
        return Literal(feature.name, Operator.IN, tuple(chosen))

    causal: list[CausalRule] = []
    while len(causal) < rules:
        head = r.choice(made)
        body = Body(tuple(literal(f) for f in r.sample([f for f in made if f is not head], 2)))
        if not body.accepts(start):  # type: ignore[arg-type]
            causal.append(CausalRule((literal(head),), (body,)))
    rejecting: list[Rule] = []
    for _ in range(decisions):
        tests = []
        for feature in r.sample(made, 3):
            most = {*r.sample(names, int(0.9 * values)), str(start[feature.name])}
            tests.append(Literal(feature.name, Operator.IN, tuple(sorted(most))))
        rejecting.append(Rule(Literal("label", Operator.EQ, "no"), Body(tuple(tests))))
    decided = RuleSet("label", tuple(rejecting), default="yes")
    goal = Goal(undesired=("no",))
    return World(tuple(made), tuple(causal), decisions=decided, goal=goal), start


def audit() -> dict[str, object]:
    """Audit a thousand rejected rows of German credit on two cores."""
    from whyproof.rule_tables import rule_table
    from whyproof.tables import read_table
    from whyproof.worlds_audit import audit_recourse

    table = read_table(data_folder() / "tabular" / "german_credit.csv", "label")
    data = rule_table(table)
    plain = world_from_toml(GERMAN, data=data)
    found: dict[str, object] = {}
    for name, text in (("published", GERMAN_RULES), ("with barriers", GERMAN_RULES + HARD_RULES)):
        told = read_world_rules(text, plain.names, target="label")
        world = replace(plain, causal=told.causal, decisions=told.decisions)
        states = [{n: data[n].value(row) for n in world.names} for row in range(table.n_rows)]
        rejected = [s for s in states if not world.goal.is_reached(world.decide(s))]
        rows = {k: rejected[k % len(rejected)] for k in range(AUDITED_ROWS)}
        options = PlanOptions(limit=1, start="ignore")  # type: ignore[arg-type]
        before = _cpu_of_all()
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "audit.db"
            summary = audit_recourse(world, rows, store, options=options, jobs=2)
        told_summary = summary.as_json()
        found[name] = {
            "distinct_rejected_rows": len(rejected),
            "rows": len(rows),
            "wall_seconds": round(time.monotonic() - started, 2),
            "cpu_seconds": round(_cpu_of_all() - before, 2),
            **{k: told_summary[k] for k in ("share", "status", "lengths", "features")},
        }
    return found


def scasp() -> dict[str, object]:
    """Enumerate the goal states of the car world with s(CASP), where it is installed."""
    program = shutil.which("scasp")
    if program is None or shutil.which("swipl") is None:
        return {"installed": False}
    worlds = _module("tests/asp/published_worlds.py")
    world: World = worlds.car()
    names = list(world.names)
    variables = [name.capitalize() for name in names]
    lines = [f"d_{f.name}('{value}')." for f in world.features for value in f.names]
    for rule in world.rules().rules:
        tests = []
        for literal in rule.body.literals:
            sign = "=" if literal.operator is Operator.EQ else "\\="
            tests.append(f"{literal.feature.capitalize()} {sign} '{literal.values[0]}'")
        lines.append(f"reject({', '.join(variables)}) :- {', '.join(tests)}.")
    domains = ", ".join(f"d_{n}({v})" for n, v in zip(names, variables, strict=True))
    head = f"goal({', '.join(variables)})"
    lines.append(f"{head} :- {domains}, not reject({', '.join(variables)}).")
    lines.append(f"?- {head}.")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "car.pl"
        file.write_text("\n".join(lines) + "\n")
        before = _cpu_of_all()
        try:
            done = subprocess.run(
                [program, "-n0", str(file)],
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"installed": True, "car_goal_states": "none in 300 s"}
        answers = done.stdout.lower().count("answer")
    _, ours = _timed(lambda: goal_states(world), 5)
    return {
        "installed": True,
        "answers": answers,
        "scasp_seconds": round(_cpu_of_all() - before, 3),
        "planner_seconds": ours,
        "note": "read s(CASP)'s own count; errors: " + done.stderr[:200],
    }


def _timed(run: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """Return the last result and the median CPU seconds."""
    times: list[float] = []
    result: Any = None
    for _ in range(repeats):
        started = time.process_time()
        result = run()
        times.append(time.process_time() - started)
    return result, round(statistics.median(times), 5)


def _cpu_of_all() -> float:
    """CPU seconds of this process and the children that ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def _module(path: str) -> Any:  # noqa: ANN401
    """Import a module of the tests by its place."""
    name = Path(path).stem
    spec = importlib.util.spec_from_file_location(name, ROOT / path)
    if spec is None or spec.loader is None:
        sys.exit(f"no {path}; run from a checkout")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
