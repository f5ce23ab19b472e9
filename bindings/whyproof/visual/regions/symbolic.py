"""Smallest regions that can change a decision, in shapes that the user asks for.

    RegionSearch(problem, oracle, grid, Shape(connected=True)).smallest()

Implicit hitting sets with a shape: an answer-set program proposes the smallest set of cells
that has the wanted shape and meets every proof found so far; the oracle decides whether
freeing it can change the decision.  Yes: it is a smallest one.  No: the proof's core is a
set that every region has to meet.  Not known: the set is put aside, and what is found later
is no longer proved to be smallest.

After Ignatiev, Previti, Liffiton and Marques-Silva (CP 2015) for smallest sets; shapes as
answer-set constraints over cells are ours.  The next region is asked for by excluding all
that contain one already found, so that regions come in the order of size, each minimal
among those of its shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import clingo

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.errors import DataError
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from ..cells import Grid

__all__ = ["RegionSearch", "Shape", "SymbolicRegion"]

_STEP = 0.05


@dataclass(frozen=True, slots=True)
class Shape:
    """What a region has to look like.

    Parameters
    ----------
    connected
        Cells hang together side by side.
    rectangular
        All cells between a first and last row and column.
    must, must_not
        Cells that are always, or never, in it.
    at_most
        Largest number of cells.
    """

    connected: bool = False
    rectangular: bool = False
    must: FeatureSet = frozenset()
    must_not: FeatureSet = frozenset()
    at_most: int | None = None

    def check(self, grid: Grid) -> None:
        """Refuse cells that do not exist and wishes that contradict each other."""
        for cell in sorted(self.must | self.must_not):
            if not 0 <= cell < grid.count:
                raise DataError(f"cell {cell} does not exist; there are {grid.describe()}")
        both = self.must & self.must_not
        if both:
            raise DataError(f"cell {min(both)} both must and must not be in the region")
        if self.at_most is not None and self.at_most < 1:
            raise DataError(f"a region has at least one cell, found at most {self.at_most}")


@dataclass(frozen=True, slots=True, eq=False)
class SymbolicRegion:
    """A region that can change the decision.

    Parameters
    ----------
    cells
        Its cells.
    witness
        A point that changes the decision and moves only cells of the region.
    proved
        Whether no smaller region of the shape, and none that it contains, can: false if
        the oracle left a question open on the way.
    """

    cells: FeatureSet
    witness: Counterexample
    proved: bool


@dataclass
class RegionSearch:
    """Regions of one problem in the order of size.

    Parameters
    ----------
    problem, oracle
        What is asked, and who decides; see `whyproof.visual.image_problem`.
    grid
        Cells, as many as the problem has features.
    shape
        What the regions have to look like.
    budget
        Limits of the whole search.

    Raises
    ------
    DataError
        If the shape contradicts itself or the grid does not fit.
    """

    problem: ExplanationProblem
    oracle: Oracle
    grid: Grid
    shape: Shape = field(default_factory=Shape)
    budget: Budget = field(default_factory=Budget)
    proofs: list[Entailed] = field(default_factory=list[Entailed], init=False)
    undecided: list[Unknown] = field(default_factory=list[Unknown], init=False)
    complete: bool = field(default=False, init=False)
    """Whether it is proved that there are no more regions than those handed out."""

    def __post_init__(self) -> None:
        if self.problem.space.n_features != self.grid.count:
            raise DataError(f"{self.problem.space.n_features} features for {self.grid.describe()}")
        self.shape.check(self.grid)
        self.meter = self.budget.start()
        self._program = _ShapeProgram(self.grid, self.shape, self.problem.universe)

    def smallest(self) -> SymbolicRegion | None:
        """Return a smallest region.

        Returns
        -------
        SymbolicRegion or None
            `None` if there is none; proved if `complete` is true.
        """
        return next(iter(self), None)

    def __iter__(self) -> Iterator[SymbolicRegion]:
        """Search on; each region comes once."""
        limit = self.budget.count
        found = 0
        while limit is None or found < limit:
            region = self._next()
            if region is None:
                return
            found += 1
            yield region

    def _next(self) -> SymbolicRegion | None:
        while True:
            proposal = self._program.smallest(self.meter)
            if proposal is None:
                self.complete = self._program.none_left and not self.undecided
                return None
            answer = self._ask(proposal)
            match answer:
                case Counterexample():
                    self._program.forbid(proposal)
                    return SymbolicRegion(proposal, answer, not self.undecided)
                case Entailed():
                    self.proofs.append(answer)
                    self._program.hit(self._stronger(answer).core)
                case Unknown():
                    self.undecided.append(answer)
                    self._program.leave_out(proposal)

    def _ask(self, cells: FeatureSet) -> Answer:
        (answer,) = self.oracle.decide([cells], self.meter)
        self.meter.spend(1)
        if isinstance(answer, Counterexample):
            self.problem.replay(answer.point, cells)
        return answer

    def _stronger(self, proof: Entailed) -> Entailed:
        """Free further cells while the decision stays forced, a half, a quarter, ... at a time."""
        core = proof.core & self.problem.universe
        block = max(1, len(core) // 2)
        order = sorted(core, key=lambda cell: (cell * 7919) % self.grid.count)
        while order and self.meter.exhausted() is None:
            part = frozenset(order[:block])
            if block <= max(1, len(core) // 8):
                break
            (answer,) = self.oracle.decide([self.problem.universe - (core - part)], self.meter)
            self.meter.spend(1)
            if isinstance(answer, Entailed):
                core = core - part
                proof = answer
                order = [cell for cell in order[block:] if cell in core]
            else:
                block //= 2
        return Entailed(core, proof.margin)


class _ShapeProgram:
    """Smallest sets of a shape that hit some sets and contain none of others."""

    def __init__(self, grid: Grid, shape: Shape, universe: FeatureSet) -> None:
        self.none_left = False
        self._grid = grid
        self._control: Any = clingo.Control(["--opt-strategy=usc"], logger=lambda *_: None)
        facts = [f"row(0..{grid.rows - 1}). column(0..{grid.columns - 1})."]
        facts += [f"must({_place(grid, cell)})." for cell in sorted(shape.must)]
        frozen = frozenset(range(grid.count)) - universe
        facts += [f"mustnot({_place(grid, cell)})." for cell in sorted(shape.must_not | frozen)]
        facts += ["connected."] * shape.connected + ["rectangular."] * shape.rectangular
        if shape.at_most is not None:
            facts.append(f"at_most({shape.at_most}).")
        switches = "#defined connected/0. #defined rectangular/0. #defined at_most/1. "
        switches += "#defined must/2. #defined mustnot/2."
        self._control.add("base", [], "\n".join([_program(), switches, *facts]))
        self._control.ground([("base", [])])
        self._literal = {
            grid.at(s.symbol.arguments[0].number, s.symbol.arguments[1].number): s.literal
            for s in self._control.symbolic_atoms.by_signature("in", 2)
        }

    def smallest(self, meter: Meter) -> FeatureSet | None:
        """Return a smallest set; `None` if there is none, or the budget ended."""
        if self.none_left or meter.exhausted() is not None:
            return None
        best: list[FeatureSet] = []

        def keep(model: clingo.Model) -> None:
            best[:] = [
                frozenset(
                    self._grid.at(s.arguments[0].number, s.arguments[1].number)
                    for s in model.symbols(atoms=True)
                    if s.name == "in"
                )
            ]

        with self._control.solve(on_model=keep, async_=True) as handle:
            while not handle.wait(min(_STEP, meter.remaining)):
                if meter.exhausted() is not None:
                    handle.cancel()
                    break
            result = handle.get()
        if result.unsatisfiable:
            self.none_left = True
            return None
        return best[0] if result.exhausted and best else None

    def hit(self, cells: FeatureSet) -> None:
        """Require one of some cells."""
        self._constraint([-self._literal[cell] for cell in cells if cell in self._literal])

    def forbid(self, cells: FeatureSet) -> None:
        """Exclude sets that contain all of some cells."""
        self._constraint([self._literal[cell] for cell in cells])

    def leave_out(self, cells: FeatureSet) -> None:
        """Exclude one set, and no other."""
        body = [self._literal[cell] for cell in cells]
        body += [-literal for cell, literal in self._literal.items() if cell not in cells]
        self._constraint(body)

    def _constraint(self, body: list[int]) -> None:
        if not body:
            self.none_left = True
            return
        with self._control.backend() as backend:
            backend.add_rule([], body)


def _place(grid: Grid, cell: int) -> str:
    return f"{cell // grid.columns},{cell % grid.columns}"


@cache
def _program() -> str:
    return files("whyproof.visual.regions").joinpath("shapes.lp").read_text(encoding="utf-8")
