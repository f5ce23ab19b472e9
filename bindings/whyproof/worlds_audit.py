"""Recourse for a whole population: a plan for every rejected row, into a resumable store.

Every row's answer is one transaction: killed at any moment, the same call goes on where it
stopped.  Rows that have no path are recorded with what was proved about them.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whyproof.asp.planning import Judge, Planner, PlanOptions, PlanStatus
from whyproof.asp.planning.population import PopulationSummary, RowOutcome, outcome_of, summarise
from whyproof.asp.worlds import World
from whyproof.engine.budget import Budget
from whyproof.engine.errors import InputError, ReplayError

from .auditing import environment
from .store import RowStatus, RunOutcome, StoreWriter
from .store.canonical import digest

__all__ = ["audit_recourse", "world_identity"]


@dataclass(frozen=True, slots=True)
class _Job:
    """One row to plan for."""

    row: int
    state: Mapping[str, object]


def audit_recourse(
    world: World,
    rows: Mapping[int, Mapping[str, object]],
    store: str | Path | None = None,
    *,
    options: PlanOptions | None = None,
    judge: Callable[[int], Judge] | None = None,
    model: str = "",
    jobs: int = 1,
    seconds: float | None = None,
    row_seconds: float | None = 60.0,
    progress: Callable[[int, int], None] | None = None,
) -> PopulationSummary:
    """Plan for every row that the rules (or the model) reject.

    Parameters
    ----------
    world
        With decision rules and a goal.
    rows
        State by row number.
    store
        File to keep answers in; `None` keeps them in memory only.
    options
        Of each plan; one path per row by default.
    judge
        Gives the real model as the judge of a row; picklable when `jobs` is above one.
    model
        Fingerprint of that model, part of the store's identity.
    jobs
        Number of processes.
    seconds, row_seconds
        Time limits of the call and of each row.
    progress
        Called with the number of rows done and of all.

    Raises
    ------
    InputError
        For a world without goal, or nothing to do.
    StoreError
        If the store is about something else or cannot be written.
    """
    if world.goal.is_open:
        raise InputError("an audit needs a goal: say which decisions are desired or undesired")
    if not rows:
        raise InputError("there are no rows to audit")
    if jobs < 1:
        raise InputError(f"jobs must be positive, found {jobs}")
    options = options or PlanOptions(limit=1)
    deadline = math.inf if seconds is None else time.monotonic() + seconds
    work = _Work(world, options, judge, row_seconds)
    found: dict[int, RowOutcome] = {}
    if store is None:
        for outcome in _outcomes(work, [_Job(r, s) for r, s in rows.items()], jobs, deadline):
            found[outcome.row] = outcome
            if progress is not None:
                progress(len(found), len(rows))
        return summarise(world, list(found.values()), len(rows))
    with StoreWriter.open(store, world_identity(world, options, model)) as writer:
        return _stored(writer, work, rows, jobs, deadline, progress)


def world_identity(world: World, options: PlanOptions, model: str = "") -> dict[str, object]:
    """Return what an audit's store is about: world, question and model, each as a hash."""
    rules = world.decisions
    described = {
        "features": [repr(feature) for feature in world.features],
        "causal": [str(rule) for rule in world.causal],
        "denials": [str(denial) for denial in world.denials],
        "preconditions": [str(pre) for pre in world.preconditions],
        "effects": [str(effect) for effect in world.effects],
        "decisions": [] if rules is None else [str(rule) for rule in rules.rules],
        "default": None if rules is None else rules.default,
    }
    columns = [
        {"name": f.name, "unit": f.unit, "domain": f.domain.describe()} for f in world.features
    ]
    features = [
        {"name": f.name, "columns": [f.name], "immutable": not f.change.is_direct}
        for f in world.features
    ]
    return {
        "model": model or digest(described),
        "classes": [str(label) for label in world.rules().labels],
        "space": {"columns": columns, "features": features, "constraints": []},
        "region": {"world": digest(described)},
        "question": {
            "type": "recourse",
            "goal": world.goal.describe(),
            "horizon": options.horizon,
            "objective": str(options.objective),
            "effects": str(options.effects),
            "start": str(options.start),
        },
    }


@dataclass(frozen=True)
class _Work:
    """Everything that is the same for all rows; travels to worker processes once."""

    world: World
    options: PlanOptions
    judge: Callable[[int], Judge] | None
    row_seconds: float | None

    def outcome(self, job: _Job) -> RowOutcome:
        """Plan for one row; what is wrong with a row is its outcome, not an error."""
        judge = None if self.judge is None else self.judge(job.row)
        try:
            state = self.world.state(job.state)
            if judge is not None:
                label = judge.decide([state])[0]
            else:
                label = self.world.decide(state)
            if self.world.goal.is_reached(label):
                return RowOutcome(job.row, "accepted", label=label)
            planner = Planner(
                self.world, self.options, judge=judge, budget=Budget(seconds=self.row_seconds)
            )
            plan = planner.plan(job.state)
        except ReplayError:
            raise
        except InputError as error:
            return RowOutcome(job.row, "failed", reason=str(error))
        if plan.length == 0:
            # the rules accept what the model rejects: nothing that the rules could improve
            return RowOutcome(
                job.row, "disagreement", label=label, reason="the rules accept this row already"
            )
        return outcome_of(job.row, plan, label)


_work: _Work | None = None


def _begin(work: _Work) -> None:
    global _work
    _work = work


def _run(job: _Job) -> RowOutcome:
    if _work is None:
        raise RuntimeError("the worker was not started")
    return _work.outcome(job)


def _outcomes(
    work: _Work, jobs: Sequence[_Job], processes: int, deadline: float
) -> Iterator[RowOutcome]:
    """Yield outcomes as they come, until the deadline."""
    if processes == 1:
        for job in jobs:
            if time.monotonic() >= deadline:
                return
            yield work.outcome(job)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_begin, initargs=(work,)
    ) as pool:
        waiting = iter(jobs)
        running: set[Future[RowOutcome]] = set()
        try:
            while True:
                while len(running) < 4 * processes and time.monotonic() < deadline:
                    following = next(waiting, None)
                    if following is None:
                        break
                    running.add(pool.submit(_run, following))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _stored(
    writer: StoreWriter,
    work: _Work,
    rows: Mapping[int, Mapping[str, object]],
    jobs: int,
    deadline: float,
    progress: Callable[[int, int], None] | None,
) -> PopulationSummary:
    known = {row.row: row for row in writer.rows()}
    stored_outcomes = _outcomes_of(writer)
    found: dict[int, RowOutcome] = {}
    waiting: list[_Job] = []
    for number, state in rows.items():
        stored = known.get(number)
        if stored is None or stored.status is RowStatus.OPEN:
            waiting.append(_Job(number, state))
        else:
            found[number] = stored_outcomes[number]
    run = writer.begin_run({"jobs": jobs, "environment": environment()})
    ended = RunOutcome.FAILED
    try:
        for outcome in _outcomes(work, waiting, jobs, deadline):
            _keep(writer, run, outcome, rows[outcome.row])
            found[outcome.row] = outcome
            if progress is not None:
                progress(len(found), len(rows))
        ended = RunOutcome.FINISHED if len(found) == len(rows) else RunOutcome.BUDGET
    except KeyboardInterrupt:
        ended = RunOutcome.INTERRUPTED
        raise
    finally:
        writer.end_run(run, ended)
    return summarise(work.world, list(found.values()), len(rows))


def _keep(writer: StoreWriter, run: int, outcome: RowOutcome, state: Mapping[str, object]) -> None:
    writer.open_row(run, outcome.row, state, {"prediction": outcome.label})
    status = {
        "accepted": RowStatus.SKIPPED,
        "failed": RowStatus.FAILED,
        str(PlanStatus.STOPPED): RowStatus.OPEN,
    }.get(outcome.status, RowStatus.COMPLETE)
    writer.close_row(run, outcome.row, status, outcome.summary, {"outcome": outcome.as_json()})


def _outcomes_of(writer: StoreWriter) -> dict[int, RowOutcome]:
    """Return the outcome that was recorded last for each row."""
    found: dict[int, RowOutcome] = {}
    for _, payload, _ in writer.journal():
        record: dict[str, Any] = json.loads(payload)
        if record.get("record") == "row-status":
            found[int(record["row"])] = RowOutcome.from_json(record["outcome"])
    return found
