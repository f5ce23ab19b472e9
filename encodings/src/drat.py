"""DRAT proofs that clauses are unsatisfiable: made by a fresh solver, checked by others.

A solver that was asked under assumptions may log a proof that no checker accepts.  So the
fixed features of a core become unit clauses, a *fresh* solver refutes the result and logs
its proof (Wetzler, Heule, Hunt, DRAT-trim, SAT 2014), and a program that shares no code with
the solver replays it: `dratify` (a package), or `drat-trim` if it is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whyproof.engine.answers import Unknown
from whyproof.engine.budget import Meter
from whyproof.engine.errors import InputError, MissingExtraError

__all__ = ["DratProof", "check_drat", "dimacs", "refute"]

_SOLVER = "glucose4"
_CONFLICTS = 20_000
"""Conflicts between two looks at the budget."""


@dataclass(frozen=True, slots=True)
class DratProof:
    """A set of clauses and a proof that no assignment satisfies them.

    Parameters
    ----------
    clauses
        Literals as in DIMACS.
    lines
        Steps of the proof in DRAT's text form.
    """

    clauses: tuple[tuple[int, ...], ...]
    lines: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Which checker reads it."""
        return "drat"

    def as_json(self) -> dict[str, object]:
        """Return ``{"type": "drat", "clauses": [...], "lines": [...]}``."""
        return {"type": "drat", "clauses": [list(c) for c in self.clauses], "lines": [*self.lines]}

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write ``name.cnf`` and ``name.drat``, as `drat-trim` takes them."""
        formula, proof = folder / f"{name}.cnf", folder / f"{name}.drat"
        formula.write_text(dimacs(self.clauses), encoding="ascii")
        proof.write_text("".join(f"{line}\n" for line in self.lines), encoding="ascii")
        return formula, proof


def refute(
    clauses: Iterable[Sequence[int]], units: Iterable[int] = (), *, meter: Meter | None = None
) -> DratProof | Unknown | None:
    """Refute clauses with a fresh solver.

    Parameters
    ----------
    clauses
        Literals as in DIMACS.
    units
        Literals to add as clauses: the core.
    meter
        Budget of the run.

    Returns
    -------
    DratProof, Unknown or None
        `None` if they are satisfiable, `Unknown` if the budget ended.

    Examples
    --------
    >>> proof = refute([(1, 2), (-1, 2)], units=[-2])
    >>> len(proof.clauses)
    3
    >>> refute([(1, 2)]) is None
    True
    """
    from pysat.solvers import Solver

    given = (*(tuple(clause) for clause in clauses), *((unit,) for unit in units))
    with Solver(name=_SOLVER, bootstrap_with=given, with_proof=True) as solver:
        found: bool | None = None
        while found is None:
            solver.conf_budget(_CONFLICTS)
            found = solver.solve_limited()
            reason = meter.exhausted() if meter is not None and found is None else None
            if reason is not None:
                return Unknown(reason)
        if found:
            return None
        lines: list[str] = [str(line).strip() for line in solver.get_proof() or ()]
    if not any(line.split() == ["0"] for line in lines):
        lines.append("0")  # solvers leave the empty clause out when units alone suffice
    return DratProof(given, tuple(lines))


def check_drat(proof: DratProof, program: str = "auto", seconds: float = 600.0) -> str:
    """Replay a proof.

    Parameters
    ----------
    proof
        The proof.
    program
        ``"dratify"``, ``"drat-trim"``, or ``"auto"`` for whichever is installed, `drat-trim`
        first because it is faster.
    seconds
        Time limit for `drat-trim`.

    Returns
    -------
    str
        Name of the program that accepted it.

    Raises
    ------
    InputError
        If the proof is not accepted.
    MissingExtraError
        If there is no program to check it.
    """
    if program not in ("auto", "dratify", "drat-trim"):
        raise InputError(f"no DRAT checker {program!r}; known are dratify and drat-trim")
    path = shutil.which("drat-trim") if program != "dratify" else None
    if path is not None:
        return _drat_trim(path, proof, seconds)
    if program == "drat-trim":
        raise InputError("drat-trim is not installed; compile it, or use dratify")
    return _dratify(proof)


def dimacs(clauses: Sequence[Sequence[int]], comments: Iterable[str] = ()) -> str:
    """Write clauses in DIMACS.

    Examples
    --------
    >>> print(dimacs([(1, -2)], ["one clause"]), end="")
    c one clause
    p cnf 2 1
    1 -2 0
    """
    most = max((abs(literal) for clause in clauses for literal in clause), default=0)
    lines = [f"c {comment}" for comment in comments]
    lines.append(f"p cnf {most} {len(clauses)}")
    lines += [" ".join(map(str, (*clause, 0))) for clause in clauses]
    return "\n".join(lines) + "\n"


def _dratify(proof: DratProof) -> str:
    try:
        import dratify
    except ImportError as error:
        raise MissingExtraError("dratify", "proofs", "check DRAT proofs") from error
    checker: Any = dratify
    try:
        formula = checker.parse_dimacs(dimacs(proof.clauses))
        result = checker.check_proof(formula, "\n".join(proof.lines) + "\n")
    except (ValueError, IndexError) as error:
        raise InputError(f"the DRAT proof cannot be read: {error}") from None
    if not bool(result.ok):
        raise InputError("dratify does not accept the DRAT proof")
    return "dratify"


def _drat_trim(path: str, proof: DratProof, seconds: float) -> str:
    with tempfile.TemporaryDirectory() as folder:
        formula, steps = proof.write(Path(folder), "proof")
        command = [path, str(formula), str(steps), "-t", str(int(seconds))]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 10)
        except subprocess.TimeoutExpired:
            raise InputError("drat-trim did not finish in time") from None
    if "s VERIFIED" not in done.stdout:
        raise InputError("drat-trim does not accept the DRAT proof")
    return "drat-trim"
