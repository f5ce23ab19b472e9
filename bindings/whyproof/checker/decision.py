"""One decision of a model and the claims about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from .boxes import BoxChecker, Knowledge
from .document import Document, Feature, fields, number
from .drat import replay_drat
from .model import TreeModel
from .nearness import NearnessChecker
from .question import outcome, rivals
from .reading import Predict
from .refusal import Refused
from .region import Region
from .span import Span
from .statement import Statement, about_changes, at_instance, is_true
from .terrain import Terrain
from .verdict import Verdict

__all__ = ["Decision"]


class Decision:
    """One instance of the model and the claims about it.

    Parameters
    ----------
    document, model
        What the certificate says, and the model as the checker read it.
    terrain
        Cells that decisions share.
    slack
        In scores.
    predict
        The model's own library, if it can be asked.
    entry
        The decision as it stands in the certificate.
    verdict
        Where what was proved is noted.
    """

    def __init__(
        self,
        document: Document,
        model: TreeModel,
        terrain: Terrain,
        slack: Fraction,
        predict: Predict | None,
        entry: object,
        verdict: Verdict,
    ) -> None:
        self._document, self._model, self._predict = document, model, predict
        self._terrain = terrain
        self._verdict, self._slack = verdict, slack * model.unit
        names = ("instance", "prediction", "question", "region", "claims")
        given = fields(entry, "a decision", names)
        self._instance = [number(value) for value in given["instance"]]
        if len(self._instance) != len(document.columns):
            raise Refused("the instance has not as many values as there are columns")
        for column, value in zip(document.columns, self._instance, strict=True):
            if not column.holds(value):
                raise Refused(f"column {column.name!r} of the instance is not in its domain")
        self._leaves = model.leaves(self._instance)
        self._sums = model.sums(self._leaves)
        self._claims = given["claims"]
        self._kept = self._prediction(given["prediction"])
        question = given["question"]
        self._rivals = rivals(model, question, self._kept)
        self._asks_classes = question["type"] in ("other", "reach")
        self._target: int | None = question["class"] if question["type"] == "reach" else None
        self._region = Region(given["region"], self._instance)
        self._by_name = {feature.name: feature for feature in document.features}
        self._checkers: list[BoxChecker] = []
        self._constraints = self._background()

    def check(self) -> None:
        """Check all claims."""
        if not isinstance(self._claims, list) or not self._claims:
            raise Refused("there are no claims")
        for claim in self._claims:
            kind = claim.get("kind") if isinstance(claim, dict) else None
            if kind == "axp":
                self._abductive(claim)
            elif kind == "cxp":
                self._contrastive(claim)
            elif kind == "nearest":
                self._nearest(claim)
            else:
                raise Refused(f"a claim is of kind {kind!r}, not axp, cxp or nearest")

    def _abductive(self, claim: Mapping[str, Any]) -> None:
        given = fields(claim, "an AXp", ("kind", "features", "open", "proof", "witnesses"))
        members, unsure = self._members(given)
        free = self._mutable - members
        how, used = self._entailed(given["proof"], free)
        if set(given["witnesses"]) != members - unsure:
            raise Refused("there is not one witness for each element of an AXp")
        for name, changes in given["witnesses"].items():
            self._witness(changes, free | {name})
        self._state(
            f"fixing {_listed(members)} forces {self._label}, {how}{self._resting(used)}",
            members,
            unsure,
        )

    def _contrastive(self, claim: Mapping[str, Any]) -> None:
        given = fields(claim, "a CXp", ("kind", "features", "open", "witness", "proofs"))
        members, unsure = self._members(given)
        if not members <= self._mutable:
            raise Refused("a CXp has features that never change")
        self._witness(given["witness"], members)
        if set(given["proofs"]) != members - unsure:
            raise Refused("there is not one proof for each element of a CXp")
        for name, proof in given["proofs"].items():
            self._entailed(proof, members - {name})
        self._state(f"freeing {_listed(members)} lets {self._label} change", members, unsure)

    def _nearest(self, claim: Mapping[str, Any]) -> None:
        names = ("kind", "norm", "factors", "bound", "point", "proofs")
        given = fields(claim, "a claim of nearness", names)
        checker = NearnessChecker(
            self._document.columns,
            self._terrain.within(self._region, self._instance),
            self._region.limits,
            self._rivals,
            self._slack,
            self._instance,
        )
        boxes = checker.check(given)
        self._verdict.boxes += boxes
        norm, bound = given["norm"], number(given["bound"])
        said = f"no change of {self._label} is nearer than {bound:.9g} ({norm}, {boxes} boxes)"
        if given["point"] is not None:
            point = self._witness(given["point"], self._mutable)
            cost = checker.distance(given, point)
            if cost < checker.cost_of(bound, norm):
                raise Refused("the point of a claim is nearer than its bound")
            reached = math.sqrt(cost) if norm == "l2" else float(cost)
            said += f"; one at {reached:.9g} is shown"
        self._verdict.claims.append(said)

    def _state(self, what: str, members: set[str], unsure: set[str]) -> None:
        if not members:
            least = ""
        elif unsure:
            least = f"; not shown to be needed: {_listed(unsure)}"
        else:
            least = "; no element can be left out"
        self._verdict.claims.append(what + least)

    @property
    def _mutable(self) -> set[str]:
        return {f.name for f in self._document.features if not f.immutable}

    @property
    def _label(self) -> str:
        return self._document.classes[self._kept] if self._document.classes else "the value"

    def _members(self, given: Mapping[str, Any]) -> tuple[set[str], set[str]]:
        members, unsure = given["features"], given["open"]
        for names in (members, unsure):
            if not isinstance(names, list) or len(set(names)) != len(names):
                raise Refused("a claim does not list its features")
        if not set(members) <= set(self._by_name) or not set(unsure) <= set(members):
            raise Refused("a claim names features that do not exist")
        return set(members), set(unsure)

    def _entailed(self, proof: object, free: set[str]) -> tuple[str, frozenset[int]]:
        """Check a proof; say how it was proved, and which constraints that took."""
        columns = self._columns(free)
        if isinstance(proof, dict) and proof.get("type") == "drat":
            given = fields(proof, "a proof", ("type", "levels", "lines"))
            clauses = self._checker.clauses(columns, given["levels"])
            replay_drat(clauses, given["lines"])
            self._verdict.refutations += 1
            return f"by refuting {len(clauses)} clauses", frozenset()
        boxes, used = self._checker.check(proof, columns)
        self._verdict.boxes += boxes
        return f"in {boxes} {'box' if boxes == 1 else 'boxes'}", used

    def _background(self) -> tuple[Statement, ...]:
        """Put the constraints to the instance, which has to satisfy them."""
        put: list[Statement] = []
        for name, statement in self._terrain.statements:
            here = at_instance(statement, self._instance)
            if not about_changes(statement) and not is_true(here, self._instance):
                raise Refused(f"the instance violates the constraint {name!r}")
            put.append(here)
        return tuple(put)

    def _resting(self, used: frozenset[int]) -> str:
        names = [self._terrain.statements[i][0] for i in sorted(used)]
        if not names:
            return ""
        listed = ", ".join(repr(name) for name in names)
        several = len(names) > 1
        return f", as far as the constraint{'s' * several} {listed} allow{'s' * (not several)}"

    @property
    def n_rivals(self) -> int:
        """Number of ways to change the decision."""
        return len(self._rivals)

    def clauses(
        self, free: set[str], levels: list[int], only: int | None = None
    ) -> list[tuple[int, ...]]:
        """Return what a DRAT proof has to refute, for whoever makes one.

        Parameters
        ----------
        free
            Features that may move, by name.
        levels
            Steps of the grid for the sums of each rival.
        only
            One rival to write clauses for, when levels are looked for.
        """
        return self._checker.clauses(self._columns(free & self._mutable), levels, only)

    def _columns(self, free: set[str]) -> set[int]:
        return {c for name in free for c in self._by_name[name].columns}

    def _witness(self, changes: object, free: set[str]) -> list[float]:
        """Check a point, given as the columns in which it differs from the instance; return it."""
        if not isinstance(changes, dict):
            raise Refused("a witness is no point")
        position = {column.name: i for i, column in enumerate(self._document.columns)}
        owner = {c: feature for feature in self._document.features for c in feature.columns}
        point = list(self._instance)
        for name, written in changes.items():
            if name not in position:
                raise Refused(f"a witness changes a column {name!r} that does not exist")
            at, value = position[name], number(written)
            feature: Feature = owner[at]
            if feature.name not in free or feature.immutable:
                raise Refused(f"a witness changes {name!r}, which is fixed")
            if not self._document.columns[at].holds(value):
                raise Refused(f"a witness has {name!r} outside its domain")
            if not self._region.holds(at, value):
                raise Refused(f"a witness has {name!r} outside the region")
            point[at] = value
        for (name, _), statement in zip(self._terrain.statements, self._constraints, strict=True):
            if not is_true(statement, point):
                raise Refused(f"a witness breaks the constraint {name!r}")
        columns = [position[name] for name in changes if position[name] < self._model.n_columns]
        sums = self._model.moved(point, columns, self._leaves, self._sums)
        sure = any(rival.surely(sums, self._slack) for rival in self._rivals)
        changed = self._changed(point)
        if changed is False:
            raise Refused("a witness does not change the decision of the model's own library")
        if changed is None and not sure:
            raise Refused("a witness does not change the decision beyond the slack")
        self._verdict.witnesses += 1
        return point

    def _changed(self, point: list[float]) -> bool | None:
        """Ask the model's own library, where the question is about classes."""
        if self._predict is None or not self._asks_classes:
            return None
        found = self._predict(point)
        if found is None:
            return None
        self._verdict.replayed += 1
        return found != self._kept if self._target is None else found == self._target

    def _prediction(self, stated: object) -> int:
        """Check the instance's outcome; return its class, 0 for a value."""
        sums = self._sums
        if self._model.rule == "value":
            value = number(stated)
            # What is stated was rounded for output; claims rest on the interval, not on this.
            written = Fraction(value) * self._model.unit
            if not abs(written - sums[0]) <= self._slack + abs(written) / 2**20:
                raise Refused(f"the model's value at the instance is not {value!r}")
            return 0
        if type(stated) is not int or not 0 <= stated < self._model.n_classes:
            raise Refused(f"the prediction {stated!r} is no class of the model")
        found = self._predict(self._instance) if self._predict is not None else None
        others = rivals(self._model, {"type": "other"}, stated)
        lost = any(r.surely(sums, self._slack) for r in others)
        clear = outcome(self._model, sums) == stated and not any(
            d.at(sums) >= -self._slack for r in others for d in r.differences if self._slack
        )
        if lost or (found is not None and found != stated) or (found is None and not clear):
            raise Refused(f"the model does not predict class {stated} for the instance")
        return stated

    @property
    def _knowledge(self) -> Knowledge:
        land = self._terrain.within(self._region, self._instance)

        def spans(column: int) -> list[Span]:
            return self._terrain.spans(self._region, column, land.cells[column])

        return Knowledge(self._document.columns, self._constraints, spans)

    @property
    def _checker(self) -> BoxChecker:
        """What checks proofs; made when the first one comes, as counterexamples need none."""
        if not self._checkers:
            self._checkers.append(
                BoxChecker(
                    self._terrain.within(self._region, self._instance),
                    self._rivals,
                    self._slack,
                    self._changed,
                    self._instance,
                    self._leaves,
                    self._knowledge,
                    is_kept=self._asks_classes,
                )
            )
        return self._checkers[0]


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) if names else "nothing"
