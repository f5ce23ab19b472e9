"""Replaying DRAT proofs by `drat-trim`, if it is installed, or the package `dratify`."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .refusal import Refused

__all__ = ["can_replay", "replay_drat"]

_SECONDS = 600
_LINE = re.compile(r"(?:d )?(?:-?[1-9][0-9]* )*0")


def can_replay() -> bool:
    """Tell whether something is installed that replays proofs."""
    return shutil.which("drat-trim") is not None or find_spec("dratify") is not None


def replay_drat(clauses: Sequence[Sequence[int]], lines: object) -> None:
    """Check that a proof refutes clauses.

    Parameters
    ----------
    clauses
        Literals as in DIMACS.
    lines
        Steps in DRAT's text form, as the certificate has them.

    Raises
    ------
    Refused
        If it does not, or nothing is installed that could tell.
    """
    if not isinstance(lines, list) or not all(
        isinstance(line, str) and _LINE.fullmatch(line) for line in lines
    ):
        raise Refused("the steps of a DRAT proof are not understood")
    most = max((abs(literal) for clause in clauses for literal in clause), default=0)
    formula = "".join(" ".join(map(str, (*clause, 0))) + "\n" for clause in clauses)
    formula = f"p cnf {most} {len(clauses)}\n{formula}"
    proof = "".join(f"{line}\n" for line in lines)
    program = shutil.which("drat-trim")
    accepted = _dratify(formula, proof) if program is None else _trimmed(program, formula, proof)
    if not accepted:
        raise Refused("a DRAT proof does not refute the clauses of its claim")


def _dratify(formula: str, proof: str) -> bool:
    try:
        import dratify
    except ImportError:
        raise Refused(
            "the certificate has DRAT proofs: install dratify (pip install dratify) or drat-trim"
        ) from None
    checker: Any = dratify
    try:
        return bool(checker.check_proof(checker.parse_dimacs(formula), proof).ok)
    except (ValueError, IndexError, KeyError) as error:
        raise Refused(f"a DRAT proof cannot be read ({error})") from None


def _trimmed(program: str, formula: str, proof: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "formula.cnf", Path(folder) / "proof.drat"
        for path, text in zip(paths, (formula, proof), strict=True):
            path.write_text(text, encoding="ascii")
        command = [program, *map(str, paths), "-t", str(_SECONDS)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS + 10)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Refused(f"drat-trim did not answer ({type(error).__name__})") from None
    return any(line.strip() == "s VERIFIED" for line in done.stdout.splitlines())
