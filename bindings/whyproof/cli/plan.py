"""``whyproof plan``: the way of one person, or of everybody in a table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from whyproof.asp.planning import Plan, Planner, PlanOptions, PlanStatus
from whyproof.asp.planning.options import Objective
from whyproof.asp.rules.values import text_of
from whyproof.asp.worlds import World
from whyproof.engine.budget import Budget
from whyproof.engine.errors import InputError

from .failures import ANSWERED, PARTIAL
from .output import json_line, line, paragraph
from .plan_request import PlanRequest

if TYPE_CHECKING:
    from whyproof.asp.planning.population import PopulationSummary
    from whyproof.tables import Table
    from whyproof.worlds import ModelJudges

__all__ = ["plan_command"]

_HEAVY = 3e6
"""Estimated size of a world above which it is planned in a child process unasked."""


def plan_command(request: PlanRequest, *, as_json: bool) -> int:
    """Plan for one person, or audit a table."""
    request.check(one_person=False)
    options = request.settings()
    table = request.table()
    world = request.open(table)
    judges = _judges(request, world, table)
    if request.is_audit:
        return _audit(request, options, world, table, judges, as_json=as_json)
    if request.store is not None or request.rows is not None:
        raise InputError("--store and --rows belong to an audit: leave --row and --state out")
    state = request.person(world, table)
    judge = None if judges is None else judges(request.row)
    planner = Planner(world, options, judge=judge, budget=Budget(seconds=request.seconds))
    found = _plan(request, planner, state)
    if request.report is not None:
        _write_report(request.report, planner, state, found)
    if as_json:
        json_line(_shortened(found, request).as_json())
    else:
        _in_words(found, request)
    return PARTIAL if found.status is PlanStatus.STOPPED else ANSWERED


def _plan(request: PlanRequest, planner: Planner, state: dict[str, object]) -> Plan:
    """Plan here, or in a child process when limits or the world's size call for it."""
    from whyproof.asp.planning.arithmetic import ArithmeticPlanner
    from whyproof.asp.planning.guarded import plan_guarded
    from whyproof.asp.planning.sizes import weights

    if planner.world.effects:
        planner = ArithmeticPlanner(
            planner.world, planner.options, judge=planner.judge, budget=planner.budget
        )
    limited = request.seconds is not None or request.memory is not None
    if not limited and weights(planner.world)[0].size < _HEAVY:
        return planner.plan(state)
    if request.memory is not None and not request.memory > 0:
        raise InputError(f"--memory must be positive, found {request.memory:g}")
    memory = int((request.memory or 4.0) * 2**30)
    return plan_guarded(planner, state, seconds=request.seconds, memory=memory)


def _judges(request: PlanRequest, world: World, table: Table | None) -> ModelJudges | None:
    from whyproof.models import load_model
    from whyproof.worlds import ModelJudges

    if request.model is None:
        if request.space is not None:
            raise InputError("--space says how a model codes its columns; name a --model")
        return None
    return ModelJudges(world, load_model(request.model), table, request.space)


def _shortened(found: Plan, request: PlanRequest) -> Plan:
    """Return the plan with the paths that were asked for."""
    if request.every or request.extra or request.goals or request.diverse:
        return found
    if request.objective == "changes":
        return found
    return replace(found, paths=found.paths[:1], complete=found.complete and len(found.paths) < 2)


def _in_words(found: Plan, request: PlanRequest) -> None:
    if found.repair is not None:
        changes = ", ".join(
            f"{name} {text_of(old) or 'missing'} -> {text_of(new) or 'missing'}"
            for name, (old, new) in found.repair.changes.items()
        )
        paragraph(f"The state violates rules of the world; repaired first: {changes}.")
    for rule in found.tolerated:
        paragraph(f"Tolerated until touched: {rule}.")
    if found.rejected:
        paragraph(f"{len(found.rejected)} goals of the rules were left out: the model denies them.")
    if not found.paths:
        why = f": {found.proof}" if found.proof else ""
        many = f"{request.horizon} actions"
        words = {
            PlanStatus.UNREACHABLE: "There is no path of any length (proved",
            PlanStatus.NONE_WITHIN: f"There is no path of at most {many} (proved",
            PlanStatus.STOPPED: "Nothing was found (stopped",
        }[found.status]
        paragraph(f"{words}{why}).")
        return
    if found.length == 0:
        line(f"Nothing has to change: {found.goal} holds already.")
        return
    shown = _shortened(found, request).paths
    for number, path in enumerate(shown, start=1):
        head = f"Path {number}: " if len(shown) > 1 else ""
        many = f"{path.length} action{'' if path.length == 1 else 's'}, cost {path.cost:g}"
        line(f"{head}{many}")
        line(str(path))
    proved = {
        Objective.LENGTH: "nothing shorter exists",
        Objective.COST: "nothing cheaper exists",
        Objective.CHANGES: "no subset of the features suffices",
    }[Objective(request.objective)]
    sure = f"proved: {proved}" if found.status is PlanStatus.MINIMAL else "not proved best"
    rest = len(found.paths) - len(shown)
    more = f"; {rest} more as good, see --all" if rest else ""
    paragraph(f"({found.goal}; {sure}{more})")


def _write_report(path: Path, planner: Planner, state: dict[str, object], found: Plan) -> None:
    from whyproof.asp.justify import plan_page

    from .learn import write_text

    write_text(path, plan_page(planner.problem(state), found))
    if sys.stderr.isatty():
        sys.stderr.write(f"report: {path}\n")


def _audit(
    request: PlanRequest,
    options: PlanOptions,
    world: World,
    table: Table | None,
    judges: ModelJudges | None,
    *,
    as_json: bool,
) -> int:
    from whyproof.worlds import state_of_row
    from whyproof.worlds_audit import audit_recourse

    from .request import row_numbers

    if table is None:
        raise InputError("an audit needs --data")
    numbers = row_numbers(request.rows or "0:", table.n_rows)
    with _progress(len(numbers)) as progress:
        summary = audit_recourse(
            world,
            {number: state_of_row(world, table, number) for number in numbers},
            request.store,
            options=options,
            judge=judges,
            model="" if judges is None else judges.model.fingerprint,
            jobs=request.jobs,
            seconds=request.seconds,
            progress=progress,
        )
    if request.report is not None:
        from whyproof.worlds_report import recourse_page

        from .learn import write_text

        write_text(request.report, recourse_page(world, summary))
    if as_json:
        json_line(summary.as_json())
    else:
        _summary_in_words(summary)
    return ANSWERED if len(summary.outcomes) == len(numbers) else PARTIAL


def _summary_in_words(summary: PopulationSummary) -> None:
    rejected = len(summary.rejected)
    line(f"{summary.rows} rows, {len(summary.outcomes)} done, {rejected} rejected.")
    if rejected:
        line(f"With a path: {len(summary.with_path)} ({summary.share:.1%}).")
        line(f"Proved without recourse: {len(summary.without_recourse)}.")
    for length, count in summary.lengths.items():
        line(f"  {length} action{'' if length == 1 else 's'}: {count}")
    if summary.features:
        shown = ", ".join(f"{name} {count}" for name, count in summary.features.items())
        paragraph(f"Features that the best paths change: {shown}.")
    failed = [o for o in summary.outcomes if o.status == "failed"]
    if failed:
        paragraph(
            f"{len(failed)} rows do not fit the world, first row {failed[0].row}: "
            f"{failed[0].reason}"
        )


@contextmanager
def _progress(total: int) -> Generator[Callable[[int, int], None] | None]:
    """Show how far an audit is, if somebody is looking."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rows", total=total)
        yield lambda done, _: bar.update(task, completed=done)
