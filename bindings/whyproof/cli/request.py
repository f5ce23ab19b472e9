"""What a command was asked: from options to a model, a table, a space and a question."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from whyproof.engine.errors import DataError, InputError
from whyproof.engine.names import did_you_mean

from . import options

if TYPE_CHECKING:
    from whyproof.encodings.networks.classifier import NetworkClassifier
    from whyproof.engine.question import Question
    from whyproof.engine.region import Norm, Region
    from whyproof.engine.space import FeatureSet, FeatureSpace, Point
    from whyproof.explainer import Explainer
    from whyproof.models import Model
    from whyproof.models.from_sklearn_forest import Vote
    from whyproof.tables import Table

__all__ = ["QUESTION", "READING", "REGION", "Request", "Subject", "row_numbers"]


# Fields of `Request` that belong together, for commands that do not offer all of them.
READING = ("model", "data", "label", "space", "ranges", "integers", "rules", "vote", "classes")
QUESTION = ("target", "interval", "floor")
REGION = ("epsilon", "norm")


@dataclass(frozen=True)
class Request:
    """What commands about decisions have in common; each field is an option, see its help."""

    model: options.Model
    data: options.Data
    label: options.Label = None
    target: options.Target = None
    interval: options.Interval = None
    floor: options.Floor = None
    space: options.Space = None
    ranges: options.Ranges = "any"
    integers: options.Integers = False
    immutable: options.Immutable = None
    rules: options.Rules = None
    features: options.Features = None
    domain: options.Domain = None
    vote: options.Vote = None
    classes: options.Classes = None
    epsilon: options.Epsilon = None
    norm: options.Norm = None
    strategy: options.Strategy = "witness"
    encoding: options.Encoding = "search"
    proofs: options.Proofs = "auto"

    def open(self) -> Subject:
        """Read the files and pose the question.

        Raises
        ------
        InputError
            For anything that cannot be used as it is.
        """
        from whyproof.encodings.networks.graph import NetworkGraph
        from whyproof.models import load_model
        from whyproof.models.from_rules import with_table
        from whyproof.space_files import load_space
        from whyproof.spaces import infer_space, match_columns
        from whyproof.tables import read_table

        model = load_model(self.model, vote=_vote(self.vote), classes=_classes(self.classes))
        if isinstance(model.structure, NetworkGraph):
            table, space = self._images(model)
            space = self._constrained(space)
            explainer = self._explainer(model, space)
            return Subject(self, model, table, explainer)
        if self.features is not None or self.domain is not None:
            raise InputError("--features and --domain are for neural networks")
        table = read_table(self.data, self.label)
        model = with_table(model, table)
        table = match_columns(table, model)
        if self.space is None:
            if self.ranges not in ("any", "data"):
                raise InputError(f"--ranges is any or data, found {self.ranges!r}")
            space = infer_space(
                table,
                model,
                ranges="data" if self.ranges == "data" else "any",
                integers=self.integers,
                immutable=self.immutable or (),
            )
        elif self.integers or self.immutable or self.ranges != "any":
            raise InputError("--space says it all: leave --ranges, --integers and --immutable out")
        else:
            space = load_space(self.space, table.names)
        space = self._constrained(space)
        return Subject(self, model, table, self._explainer(model, space))

    def _explainer(self, model: Model, space: FeatureSpace) -> Explainer:
        """Pose the question, by the search and the encoding that were asked for."""
        from whyproof.explainer import Explainer

        return Explainer(
            model,
            space,
            region=self._region(),
            question=self._question(model),
            strategy=self.strategy,
            encoding=self.encoding,
        )

    def _images(self, model: Model) -> tuple[Table, FeatureSpace]:
        """Read rows of a network and choose its features."""
        from whyproof.network_tables import network_space, read_images
        from whyproof.space_files import load_space

        network = cast("NetworkClassifier", model)
        table = read_images(self.data, network, self.label)
        if self.integers or self.immutable or self.ranges != "any":
            raise InputError("--ranges, --integers and --immutable are for tables; see --space")
        if self.space is not None:
            if self.features is not None or self.domain is not None:
                raise InputError("--space says it all: leave --features and --domain out")
            return table, load_space(self.space, table.names)
        domain = None if self.domain is None else _interval(self.domain, "--domain")
        return table, network_space(network, table, features=self.features, domain=domain)

    def _constrained(self, space: FeatureSpace) -> FeatureSpace:
        """Add the constraints of all rule files; they are checked together."""
        if not self.rules:
            return space
        from whyproof.asp.rules.constraints import load_constraints
        from whyproof.encodings.constraints.consistency import constrained

        return constrained(space, [c for path in self.rules for c in load_constraints(path, space)])

    def _region(self) -> Region:
        from whyproof.engine.region import Region

        if self.epsilon is None:
            if self.norm is not None:
                raise InputError("--norm needs --epsilon, the radius")
            return Region.everywhere()
        norms: dict[str, Norm] = {"linf": "linf", "l1": "l1", "l2": "l2", "l0": "l0"}
        if (self.norm or "linf") not in norms:
            raise InputError(f"no norm {self.norm!r}; known are {', '.join(norms)}")
        return Region.ball(self.epsilon, norms[self.norm or "linf"])

    def _question(self, model: Model) -> Question | None:
        from whyproof.engine.question import KeepMargin, LeaveInterval, ReachClass

        given = [
            option
            for option, value in (
                ("--target", self.target),
                ("--interval", self.interval),
                ("--floor", self.floor),
            )
            if value is not None
        ]
        if len(given) > 1:
            raise InputError(f"{given[0]} and {given[1]} are two questions; ask one at a time")
        if self.target is not None:
            return ReachClass(_class_index(model, self.target))
        if self.interval is not None:
            return LeaveInterval(*_interval(self.interval, "--interval"))
        if self.floor is not None:
            return KeepMargin(self.floor)
        if not model.classes:
            raise InputError("the model is a regressor: name what to keep with --interval LOW:HIGH")
        return None


@dataclass(frozen=True)
class Subject:
    """What was read: everything that a command works with."""

    request: Request
    model: Model
    table: Table
    explainer: Explainer

    def instance(self, row: int) -> Point:
        """Return a row as codes of the space."""
        return self.table.point(self.explainer.space, row)

    def features(self, names: Sequence[str]) -> FeatureSet:
        """Return the indices of features by name."""
        return self.explainer.space.indices(names)

    def source(self) -> dict[str, object]:
        """Return name and hash of the table's file, for the store."""
        with _file_of(self.request.data).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {
            "table": self.request.data.name,
            "table_hash": f"sha256:{digest}",
            "model_file": self.request.model.name,
            "label": self.request.label,
        }


def _file_of(data: Path) -> Path:
    """Return the file that data comes from, without the name of an array in it."""
    path, marked, _ = str(data).partition(".npz:")
    return Path(f"{path}.npz") if marked else data


def row_numbers(text: str, count: int) -> list[int]:
    """Read row numbers: ``7``, ``0:10`` (10 excluded), ``5:``, or several with commas.

    Raises
    ------
    DataError
        If it is something else, or a row does not exist.

    Examples
    --------
    >>> row_numbers("0:3,7", 10), row_numbers("8:", 10)
    ([0, 1, 2, 7], [8, 9])
    """
    rows: list[int] = []
    for part in text.split(","):
        low, colon, high = part.strip().partition(":")
        try:
            first = int(low) if low else 0
            last = int(high) if high else (count if colon else first + 1)
            if not low and not colon:
                raise ValueError
        except ValueError:
            raise DataError(
                f"--rows {text!r} is not understood; write 7, 0:10 (rows 0 to 9), 5: or 1,4,7"
            ) from None
        if not 0 <= first < last <= count:
            raise DataError(f"--rows {part.strip()!r}: the table has rows 0 to {count - 1}")
        rows.extend(range(first, last))
    return list(dict.fromkeys(rows))


def _vote(vote: str | None) -> Vote | None:
    votes: dict[str, Vote] = {"average": "average", "majority": "majority"}
    if vote is not None and vote not in votes:
        raise InputError(f"--vote is average or majority, found {vote!r}")
    return None if vote is None else votes[vote]


def _classes(text: str | None) -> list[str] | None:
    return None if text is None else [label.strip() for label in text.split(",")]


def _class_index(model: Model, target: str) -> int:
    labels = [str(label) for label in model.classes]
    if not labels:
        raise InputError("the model is a regressor and has no classes; use --interval LOW:HIGH")
    if target not in labels:
        raise DataError(f"no class {target!r}{did_you_mean(target, labels)}")
    return labels.index(target)


def _interval(text: str, option: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    try:
        if not colon:
            raise ValueError
        bounds = float(low or "-inf"), float(high or "inf")
    except ValueError:
        raise DataError(f"{option} {text!r} is not understood; write LOW:HIGH") from None
    if not bounds[0] <= bounds[1]:
        raise DataError(f"{option} {text!r}: the lower end is above the upper one")
    return bounds
