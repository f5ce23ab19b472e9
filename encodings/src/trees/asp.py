"""Reasons of tree ensembles by answer-set programming: four kinds, all enumerable.

* sufficient: AXps; contrastive: CXps.  Contrastive ones are the subset-minimal answer sets
  of ``contrastive.lp``; sufficient ones are the minimal hitting sets of all of them.
* majority reasons (Audemard, Bellart, Bounia, Koriche, Lagniez, Marquis, Trading Complexity
  for Sparsity in Random Forest Explanations, AAAI 2022) and tree-specific reasons (the same
  and Computing Abductive Explanations for Boosted Trees, AISTATS 2023) look at each tree for
  itself: they force the decision, cost little, and may be larger than sufficient reasons.

Subset-minimal answer sets come from clasp's domain heuristic (Gebser, Kaufmann, Romero,
Otero, Schaub, Wanko, Domain-specific Heuristics in Answer Set Programming, AAAI 2013).  Ours
differs from published encodings in speaking of features, not of conditions, and in exact
weights: clingo's integers have 32 bits, so sums are carried limb by limb.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import clingo
import numpy as np

from whyproof.engine.answers import Unknown
from whyproof.engine.budget import Meter
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther
from whyproof.engine.space import FeatureSet, Point

from .boxes import LeafBoxes
from .constraints import TreeConstraints, tree_constraints
from .ensemble import DecisionRule, TreeEnsemble
from .refined import Excluded, Refiner

__all__ = ["Reason", "arguments", "asp_program", "excluding_rule", "reasons"]

_LIMB = 1 << 16
"""Limbs times the number of trees have to stay below 32 bits."""


_STEP = 0.2
"""Seconds between two moments in which Python hears signals."""


class Reason(StrEnum):
    """Kinds of reasons."""

    SUFFICIENT = "sufficient"
    CONTRASTIVE = "contrastive"
    MAJORITY = "majority"
    TREE_SPECIFIC = "tree-specific"


_PROGRAMS = {
    Reason.CONTRASTIVE: ("sums.lp", "contrastive.lp"),
    Reason.MAJORITY: ("reach.lp", "majority.lp"),
    Reason.TREE_SPECIFIC: ("sums.lp", "reach.lp", "tree_specific.lp"),
}


def reasons(
    problem: ExplanationProblem, kind: Reason | str, limit: int = 0
) -> Iterator[FeatureSet]:
    """Enumerate reasons.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `TreeEnsemble`.
    kind
        Which.
    limit
        Most reasons; 0 for all.

    Raises
    ------
    UnsupportedError
        For majority reasons of anything but forests that vote, regions that are no
        boxes, and reasons of single trees under constraints.
    """
    kind = Reason(kind)
    found: Iterator[FeatureSet]
    if kind is Reason.SUFFICIENT:
        found = _hitting(list(_contrastive(problem)))
    elif kind is Reason.CONTRASTIVE:
        found = _contrastive(problem)
    elif problem.space.constraints:
        raise UnsupportedError(
            f"{kind} reasons look at each tree for itself and know no constraints; ask for "
            "sufficient or contrastive ones"
        )
    else:
        found = _fixed(asp_program(problem, kind), problem.universe)
    return itertools.islice(found, limit) if limit else found


def asp_program(
    problem: ExplanationProblem,
    kind: Reason | str = Reason.CONTRASTIVE,
    boxes: LeafBoxes | None = None,
) -> str:
    """Return facts and program as text that clingo reads.

    Run it with ``clingo --heuristic=Domain --enum-mode=domRec FILE 0`` for subset-minimal
    answers.
    """
    kind = Reason(kind)
    if kind is Reason.SUFFICIENT:
        raise UnsupportedError("sufficient reasons are hitting sets; encode contrastive ones")
    made = tree_constraints(problem, boxes)
    facts = [*_comments(made), *_space_facts(made), *_leaf_facts(made)]
    if kind is Reason.CONTRASTIVE:
        facts += _score_facts(made)
    elif kind is Reason.MAJORITY:
        facts += _vote_facts(made)
    else:
        facts += _rank_facts(made)
    folder = Path(__file__).parent
    programs = [(folder / name).read_text(encoding="utf-8") for name in _PROGRAMS[kind]]
    return "\n".join([*facts, "", *programs])


def _contrastive(problem: ExplanationProblem) -> Iterator[FeatureSet]:
    """Enumerate contrastive reasons, each with a point that the model itself confirms."""
    made = tree_constraints(problem)
    refiner = Refiner(problem, made.boxes) if problem.space.constraints else None
    limits = problem.region.limits(problem.space, problem.instance)
    solver = _Minimal(asp_program(problem, Reason.CONTRASTIVE))
    while (model := solver.next()) is not None:
        target = made.cells.copy()
        for column, cell in arguments(model, "cell"):
            target[column] = cell
        free = frozenset(f for (f,) in arguments(model, "free"))
        columns = [c for f in free for c in problem.space.features[f].columns]
        point = made.boxes.enter(problem.instance, made.cells, target, columns, limits)
        if bool(problem.changed(point[None])[0]):
            excluded = None if refiner is None else _inadmissible(refiner, point, free)
            if excluded is None:
                solver.forbid(f"free({f})" for f in sorted(free))
                yield free
            else:
                solver.add(excluding_rule(excluded))
        else:
            # Within the rounding slack only the model knows: forbid what it does not confirm.
            solver.forbid(f"on({x})" for (x,) in arguments(model, "on"))


def _inadmissible(refiner: Refiner, point: Point, free: FeatureSet) -> Excluded | None:
    """Return what excludes a point's leaf box; `None` if an admissible point is in it."""
    problem = refiner.problem
    if all(bool(constraint.holds(point[None])[0]) for constraint in problem.constraints):
        return None
    found = refiner.examine(point, free, Meter())
    if isinstance(found, Unknown):
        raise UnsupportedError(f"constraints were not decided: {found.detail or found.reason}")
    return found if isinstance(found, Excluded) else None


def excluding_rule(excluded: Excluded) -> str:
    """Write a rule that forbids a box while some features are fixed.

    Examples
    --------
    >>> excluding_rule(Excluded(frozenset({4}), ((2, 1, 3),), frozenset()))
    ':- cell(2,Z2), 1 <= Z2, Z2 < 3, not free(4).'
    """
    body = [
        part
        for column, low, high in excluded.sides
        for part in (f"cell({column},Z{column})", f"{low} <= Z{column}", f"Z{column} < {high}")
    ]
    body += [f"not free({f})" for f in sorted(excluded.fixed)]
    return f":- {', '.join(body) or '#true'}."


def _fixed(text: str, universe: FeatureSet) -> Iterator[FeatureSet]:
    """Enumerate subset-minimal sets of ``fixed`` features."""
    solver = _Minimal(text)
    while (model := solver.next()) is not None:
        chosen = universe.intersection(f for (f,) in arguments(model, "fixed"))
        solver.forbid(f"fixed({f})" for f in sorted(chosen))
        yield chosen


def _hitting(sets: Sequence[FeatureSet]) -> Iterator[FeatureSet]:
    """Enumerate minimal hitting sets."""
    universe = frozenset().union(*sets)
    lines = [f"mutable({f})." for f in sorted(universe)]
    lines.append("{ fixed(F) : mutable(F) }.\n#heuristic fixed(F) : mutable(F). [1,false]")
    lines += [":- " + ", ".join(f"not fixed({f})" for f in sorted(s)) + "." for s in sets]
    return _fixed("\n".join([*lines, "#show fixed/1."]), universe)


class _Minimal:
    """Answer sets that are minimal in the atoms that the heuristic makes false first."""

    def __init__(self, text: str) -> None:
        # The first answer is minimal because the solver decides on these atoms before all
        # others; what was found is forbidden, with its supersets, before the next.
        self._control: Any = clingo.Control(["--heuristic=Domain"], logger=lambda *_: None)
        self._parts = 0
        self.add(text)

    def next(self) -> list[clingo.Symbol] | None:
        """Return the next answer."""
        with self._control.solve(yield_=True, async_=True) as handle:
            handle.resume()
            while not handle.wait(_STEP):
                pass  # in slices, so that Ctrl-C is heard
            model = handle.model()
            return None if model is None else list(model.symbols(shown=True))

    def forbid(self, atoms: Iterable[str]) -> None:
        """Let these atoms never be true together again."""
        self.add(f":- {', '.join(atoms) or '#true'}.")

    def add(self, text: str) -> None:
        """Add rules."""
        name = "base" if not self._parts else f"later{self._parts}"
        self._parts += 1
        self._control.add(name, [], text)
        self._control.ground([(name, [])])


def arguments(model: Sequence[clingo.Symbol], name: str) -> list[tuple[int, ...]]:
    """Return the numbers that atoms of a name have as arguments."""
    return [tuple(a.number for a in s.arguments) for s in model if s.name == name]


def _comments(made: TreeConstraints) -> list[str]:
    space = made.problem.space
    lines = [f"% Model {made.problem.classifier.fingerprint}"]
    lines += [f"% feature {i}: {_one_line(name)}" for i, name in enumerate(space.names)]
    lines += [f"% column {i}: {_one_line(c.name)}" for i, c in enumerate(space.columns)]
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _space_facts(made: TreeConstraints) -> list[str]:
    problem = made.problem
    low, high = made.lower.tolist(), made.upper.tolist()
    facts = [f"#const limb = {_LIMB}."]
    facts += [f"mutable({f})." for f in sorted(problem.universe)]
    for c, z in enumerate(made.cells.tolist()):
        facts.append(
            f"column({c},{int(problem.space.owner[c])},{z}). range({c},{low[c]},{high[c]})."
        )
    return facts


def _leaf_facts(made: TreeConstraints) -> list[str]:
    boxes = made.boxes
    facts: list[str] = []
    for x in range(boxes.n_leaves):
        facts.append(f"leaf({x},{int(boxes.tree[x])}).")
        limited = (boxes.lower[x] > 0) | (boxes.upper[x] < boxes.n_cells)
        for c in np.flatnonzero(limited).tolist():
            facts.append(f"need({x},{c},{int(boxes.lower[x, c])},{int(boxes.upper[x, c])}).")
    return facts


def _score_facts(made: TreeConstraints) -> list[str]:
    place = {variable: x for x, variable in enumerate(made.leaves)}
    facts = [f"carries({len(made.trees) + 1})."]
    for s, inequality in enumerate(made.inequalities):
        facts.append(f"rival({inequality.when}). score({s},{inequality.when}).")
        terms = [(place[v], w) for group in inequality.groups for v, w in group]
        facts += _limbs(s, terms, inequality.bound)
    return facts


def _rank_facts(made: TreeConstraints) -> list[str]:
    """Write steps between the sorted weights of each tree; steps not climbed are deficits."""
    place = {variable: x for x, variable in enumerate(made.leaves)}
    facts = [f"carries({made.boxes.n_leaves + 1})."]
    for s, inequality in enumerate(made.inequalities):
        facts.append(f"rival({inequality.when}). score({s},{inequality.when}).")
        terms: list[tuple[int, int]] = []
        for group in inequality.groups:
            tree = int(made.boxes.tree[place[group[0][0]]])
            weights = sorted({weight for _, weight in group})
            facts += [f"rank({s},{place[v]},{weights.index(w)})." for v, w in group]
            for n in range(1, len(weights)):
                step = len(terms)
                facts.append(f"step({s},{tree},{n},steps({s},{step})).")
                terms.append((step, weights[n] - weights[n - 1]))
        facts += _limbs(s, terms, inequality.reachable - inequality.bound + 1, f"steps({s},{{}})")
    return facts


def _limbs(s: int, terms: Sequence[tuple[int, int]], bound: int, name: str = "{}") -> list[str]:
    """Cut weights and bound into limbs; the highest limb of the bound may be negative."""
    widest = max([abs(bound), *(weight for _, weight in terms)])
    count = max(1, -(-widest.bit_length() // 16))
    facts: list[str] = []
    for x, weight in terms:
        for i in range(count):
            part = weight >> 16 * i & (_LIMB - 1)
            if part:
                facts.append(f"term({s},{name.format(x)},{i},{part}).")
    for i in range(count):
        part = bound >> 16 * i
        facts.append(f"bound({s},{i},{part if i == count - 1 else part & (_LIMB - 1)}).")
    return facts


def _vote_facts(made: TreeConstraints) -> list[str]:
    ensemble, boxes = made.problem.classifier.structure, made.boxes
    whole = isinstance(ensemble, TreeEnsemble) and ensemble.rule is DecisionRule.ARGMAX
    votes = np.isin(boxes.values, (0.0, 1.0)).all() and (boxes.values.sum(axis=1) == 1).all()
    if not whole or not bool(votes) or not isinstance(made.problem.question, AnyOther):
        raise UnsupportedError(
            "majority reasons are for forests whose leaves vote for one class (vote='majority') "
            "and the question whether any other class is reached"
        )
    kept = int(made.problem.prediction)
    chosen = boxes.values.argmax(axis=1)
    trees = len(boxes.trees)
    # With two classes half of the votes suffice where a tie goes to the lower class.
    tie = kept == 0 and boxes.values.shape[1] == 2
    facts = [f"enough({-(-trees // 2) if tie else trees // 2 + 1})."]
    return [*facts, *(f"other({x})." for x in np.flatnonzero(chosen != kept).tolist())]
