"""The process that runs CP-SAT: a program of whole numbers in, an answer out, both as JSON.

Started by `whyproof.encodings.cpsat` as a file of its own, because the libraries of OR-Tools and
HiGHS cannot be loaded into one process: both bring their own HiGHS under one name.  So this
file imports nothing of Whyproof.
"""

from __future__ import annotations

import json
import sys
from typing import Any

__all__ = ["answer", "main"]


def answer(cp: Any, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401  # ships untyped
    """Solve a program.

    Parameters
    ----------
    cp
        The module ``ortools.sat.python.cp_model``.
    asked
        Keys ``low``, ``high`` (bounds), ``rows`` (columns, factors, least and greatest sum,
        `None` for no limit), ``costs``, ``seconds`` (`None` for no limit).
    """
    model = cp.CpModel()
    variables = [
        model.new_int_var(low, high, f"v{i}")
        for i, (low, high) in enumerate(zip(asked["low"], asked["high"], strict=True))
    ]
    for index, factors, least, most in asked["rows"]:
        expression = cp.LinearExpr.weighted_sum([variables[i] for i in index], factors)
        if least is not None and most is not None:
            model.add_linear_constraint(expression, least, most)
        elif least is not None:
            model.add(expression >= least)
        elif most is not None:
            model.add(expression <= most)
    priced = [i for i, cost in enumerate(asked["costs"]) if cost]
    model.minimize(
        cp.LinearExpr.weighted_sum(
            [variables[i] for i in priced], [asked["costs"][i] for i in priced]
        )
    )
    solver = cp.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.linearization_level = 2
    if asked["seconds"] is not None:
        solver.parameters.max_time_in_seconds = asked["seconds"]
    status = solver.solve(model)
    found = status in (cp.OPTIMAL, cp.FEASIBLE)
    return {
        "none": status == cp.INFEASIBLE,
        "proved": status in (cp.OPTIMAL, cp.INFEASIBLE),
        "bound": None if status == cp.INFEASIBLE else float(solver.best_objective_bound),
        "branches": int(solver.num_branches),
        "values": [int(solver.value(v)) for v in variables] if found else None,
    }


def main() -> None:
    """Read a program from standard input, write the answer to standard output."""
    from ortools.sat.python import cp_model

    json.dump(answer(cp_model, json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
