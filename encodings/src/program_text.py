"""Mixed-integer programs as text for other solvers: LP and MPS, written by HiGHS."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import highspy
import numpy as np

from whyproof.engine.errors import DataError, UnsupportedError

__all__ = ["LinearProgram", "program_text", "refuse_constraints"]


@dataclass
class LinearProgram:
    """Variables and rows in the making; the objective is to be maximised.

    Parameters
    ----------
    names, lower, upper, whole, costs
        One entry for each variable.
    rows
        Factor by variable, least and greatest value of the sum.
    """

    names: list[str] = field(default_factory=list[str])
    lower: list[float] = field(default_factory=list[float])
    upper: list[float] = field(default_factory=list[float])
    whole: list[bool] = field(default_factory=list[bool])
    costs: list[float] = field(default_factory=list[float])
    rows: list[tuple[Mapping[int, float], float, float]] = field(
        default_factory=list[tuple[Mapping[int, float], float, float]]
    )

    def add(self, name: str, lower: float, upper: float, *, whole: bool = False) -> int:
        """Add a variable and return its number."""
        self.names.append(name)
        self.lower.append(lower)
        self.upper.append(upper)
        self.whole.append(whole)
        self.costs.append(0.0)
        return len(self.names) - 1

    def built(self) -> highspy.Highs:
        """Return the program for HiGHS to solve or to write."""
        highs = highspy.Highs()
        highs.HandleKeyboardInterrupt = True
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        n = len(self.names)
        highs.addVars(n, np.array(self.lower), np.array(self.upper))
        kinds = np.array(self.whole, dtype=np.uint8) * np.uint8(int(highspy.HighsVarType.kInteger))
        numbers = np.arange(n, dtype=np.int32)
        highs.changeColsIntegrality(n, numbers, kinds)
        highs.changeColsCost(n, numbers, np.array(self.costs))
        highs.changeObjectiveSense(highspy.ObjSense.kMaximize)
        starts = np.cumsum([0, *(len(terms) for terms, _, _ in self.rows)])[:-1]
        highs.addRows(
            len(self.rows),
            np.array([low for _, low, _ in self.rows]),
            np.array([high for _, _, high in self.rows]),
            sum(len(terms) for terms, _, _ in self.rows),
            starts.astype(np.int32),
            np.array([v for terms, _, _ in self.rows for v in terms], dtype=np.int32),
            np.array([f for terms, _, _ in self.rows for f in terms.values()]),
        )
        return highs


def program_text(program: LinearProgram, ending: str, notes: Sequence[str]) -> str:
    """Write a program with comments in front.

    Parameters
    ----------
    program
        What to write.
    ending
        ``"lp"`` or ``"mps"``.
    notes
        Lines of the comment.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    highs = program.built()
    for variable, name in enumerate(program.names):
        highs.passColName(variable, name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"problem.{ending}"
        if highs.writeModel(str(file)) == highspy.HighsStatus.kError:
            raise DataError(f"{file.name} cannot be written; take lp or mps")
        text = file.read_text()
    comment = "\\" if ending == "lp" else "*"
    return "\n".join([*(f"{comment} {' '.join(note.split())}" for note in notes), text])


def refuse_constraints(constraints: Sequence[object]) -> None:
    """Refuse to write a problem whose constraints the formats do not state.

    Raises
    ------
    UnsupportedError
        Naming the first.
    """
    if constraints:
        raise UnsupportedError(
            f"files for other solvers do not state constraints over features ({constraints[0]}); "
            "leave them out, or ask explain and query, which respect them"
        )
