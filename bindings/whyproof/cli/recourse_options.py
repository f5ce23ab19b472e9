"""What `nearest` and `recourse` were asked: from options to a search."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from whyproof.engine.errors import DataError, InputError, UnsupportedError
from whyproof.engine.names import did_you_mean

from . import options
from .request import Request, Subject

if TYPE_CHECKING:
    from whyproof.encodings.recourse.actions import Actions
    from whyproof.encodings.recourse.bisection import BisectionSearch
    from whyproof.encodings.recourse.causes import Causes
    from whyproof.encodings.recourse.nearest import NearestSearch
    from whyproof.encodings.recourse.plausible import Floor, SeenTogether
    from whyproof.engine.classifier import Classifier
    from whyproof.engine.space import FeatureSpace, Points

__all__ = ["RecourseRequest", "read_weights", "spread_models"]

_MAX_BYTES = 1 << 24


@dataclass(frozen=True)
class RecourseRequest:
    """The options that `nearest` and `recourse` share; see their help."""

    request: Request
    norm: options.Nearness = "l1"
    weights: options.Weights = None
    scale: options.Scale = "none"
    up: options.Up = None
    down: options.Down = None
    step: options.Step = None
    within: options.Within = None
    seen: options.Seen = None
    support: options.Support = None
    isolation: options.Isolation = None
    models: options.Models = None
    share: options.Share = 1.0
    world: options.WorldFile = None
    solver: options.MilpSolver = "highs"

    def open(self, subject: Subject | None = None) -> tuple[Subject, NearestSearch]:
        """Read the files and make the search.

        Parameters
        ----------
        subject
            What was read already.

        Raises
        ------
        InputError
            For anything that cannot be used as it is; the message names the rule, the
            feature, or the option.
        """
        from whyproof.encodings.recourse.actions import Actions
        from whyproof.encodings.recourse.distance import NORMS, SCALES, Distance
        from whyproof.encodings.recourse.nearest import NearestSearch
        from whyproof.models import load_model

        if self.norm not in NORMS:
            raise InputError(f"--norm is one of {', '.join(NORMS)}, found {self.norm!r}")
        if self.scale not in SCALES:
            raise InputError(f"--scale is one of {', '.join(SCALES)}, found {self.scale!r}")
        subject = subject or self.request.open()
        space = subject.explainer.space
        points = subject.table.points(space)
        distance = Distance.of(
            space,
            self.norm,
            weights=None if self.weights is None else read_weights(self.weights, space),
            scale=self.scale,
            data=points,
        )
        steps = {n: _number(value, "--step") for n, value in _pairs(self.step or (), "--step")}
        actions = Actions.of(
            space,
            up=self.up or (),
            down=self.down or (),
            steps=steps,
            within={n: _range(v, "--within") for n, v in _pairs(self.within or (), "--within")},
        )
        causes = None
        if self.world is not None:
            space, actions, causes = self._world(subject, actions)
        models: list[Classifier] = [subject.model]
        for path in self.models or ():
            more = load_model(path)
            if more.classes != subject.model.classes:
                raise DataError(
                    f"{path} knows the classes {_listed(more.classes)}, {self.request.model} "
                    f"{_listed(subject.model.classes)}; models for one person must agree on them"
                )
            models.append(more)
        if not 0 < self.share <= 1:
            raise InputError(f"--share is above 0 and at most 1, found {self.share!r}")
        search = NearestSearch(
            models,
            space,
            distance=distance,
            question=subject.explainer.question,
            actions=actions,
            region=subject.explainer.region,
            floors=self._floors(subject, points),
            together=[_seen(space, text, points) for text in self.seen or ()],
            at_least=math.ceil(self.share * len(models) - 1e-9),
            solver=self.solver,
            causes=causes,
        )
        return subject, search

    def _world(self, subject: Subject, actions: Actions) -> tuple[FeatureSpace, Actions, Causes]:
        """Read the causal world; return the space with its rules, and what may be done."""
        from whyproof.recourse.world import world_rules
        from whyproof.worlds import open_world

        rules = world_rules(
            open_world(self.world or "", table=subject.table), subject.explainer.space
        )
        return rules.space, rules.joined(actions), rules.causes

    def open_other(self, subject: Subject) -> BisectionSearch | None:
        """Return the search by balls, for models that no program is written for.

        That is asked for the norm ``linf`` without rules about features: networks always, since
        their oracle is faster there, and curved models because nothing else is known.
        """
        from whyproof.encodings.linear.additive import AdditiveModel
        from whyproof.encodings.networks.graph import NetworkGraph
        from whyproof.encodings.oracles import prepare_oracles
        from whyproof.encodings.recourse.bisection import BisectionSearch
        from whyproof.encodings.recourse.distance import SCALES, Distance
        from whyproof.encodings.recourse.shapes import shape_of

        model, space = subject.model, subject.explainer.space
        if self.scale not in SCALES:
            raise InputError(f"--scale is one of {', '.join(SCALES)}, found {self.scale!r}")
        given = (self.up, self.down, self.step, self.within, self.models, self.seen, self.support)
        further = (self.isolation, self.world)
        plain = self.norm == "linf" and not any(given) and not any(further)
        if not isinstance(model.structure, NetworkGraph):
            try:
                shape_of(model, space)
            except UnsupportedError as error:
                if not plain:
                    curved = isinstance(model.structure, AdditiveModel)
                    hint = "" if curved else "; use --norm linf without rules about features"
                    raise UnsupportedError(f"{error}{hint}") from None
            else:
                return None
        if not plain:
            return None
        distance = Distance.of(
            space,
            "linf",
            weights=None if self.weights is None else read_weights(self.weights, space),
            scale=self.scale,
            data=None if self.scale == "none" else subject.table.points(space),
        )
        question = subject.explainer.question
        return BisectionSearch(
            model, space, prepare_oracles(model.structure, space), distance, question=question
        )

    def _floors(self, subject: Subject, points: Points) -> list[Floor]:
        from whyproof.encodings.recourse.plausible import Floor, leaf_density
        from whyproof.encodings.trees.ensemble import TreeEnsemble

        structure = subject.model.structure
        floors: list[Floor] = []
        if self.support is not None:
            if not isinstance(structure, TreeEnsemble):
                raise UnsupportedError("--support counts data in leaves; this model has none")
            if not 0 < self.support < 1:
                raise InputError(f"--support is between 0 and 1, found {self.support!r}")
            text = f"on average {self.support:g} of the data lie in the same leaves"
            floors.append(Floor(leaf_density(structure, points), self.support, text))
        if self.isolation is not None:
            from whyproof.models.isolation import fitted_isolation, isolation_floor

            if not 0 < self.isolation < 1:
                raise InputError(f"--isolation is between 0 and 1, found {self.isolation!r}")
            floors.append(isolation_floor(fitted_isolation(points), points, self.isolation))
        return floors


def spread_models(arguments: Sequence[str]) -> list[str]:
    """Let one ``--models`` take several files, once MODEL and DATA stand before it.

    Examples
    --------
    >>> spread_models(["nearest", "m.json", "d.csv", "--models", "a.json", "b.json", "--json"])
    ['nearest', 'm.json', 'd.csv', '--models', 'a.json', '--models', 'b.json', '--json']
    """
    if not any(text.startswith("-") for text in arguments[1:3]) and "--models" in arguments[3:]:
        spread: list[str] = []
        taking = False
        for text in arguments:
            if taking and not text.startswith("-") and spread[-1] != "--models":
                spread.append("--models")
            taking = text == "--models" or (taking and not text.startswith("-"))
            spread.append(text)
        return spread
    return list(arguments)


def read_weights(path: Path, space: FeatureSpace) -> dict[str, float]:
    """Read weights by feature name from a TOML or JSON file.

    Raises
    ------
    DataError
        If it cannot be read, names no feature of the space, or holds no positive numbers.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is too large for a file of weights")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    try:
        content: object = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    if isinstance(content, Mapping) and isinstance(content.get("weights"), Mapping):
        content = content["weights"]
    if not isinstance(content, Mapping):
        raise DataError(f"{path} is no table of weights: write NAME = NUMBER, one a line")
    weights: dict[str, float] = {}
    for name, value in cast("Mapping[str, object]", content).items():
        if name not in space.names:
            raise DataError(f"{path}: no feature {name!r}{did_you_mean(name, space.names)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise DataError(
                f"{path}: the weight of {name!r} is {value!r}; it must be a positive number "
                "(to keep a feature as it is, use --immutable)"
            )
        weights[name] = float(value)
    return weights


def _pairs(texts: Sequence[str], option: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not equals or not name:
            raise InputError(f"{option} {text!r} is not understood; write NAME=VALUE")
        found.append((name.strip(), value.strip()))
    return found


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{option}: {text!r} is not a number") from None


def _range(text: str, option: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    if not colon:
        raise InputError(f"{option}: {text!r} is not understood; write NAME=LOW:HIGH")
    return _number(low or "-inf", option), _number(high or "inf", option)


def _seen(space: FeatureSpace, text: str, points: Points) -> SeenTogether:
    from whyproof.encodings.recourse.plausible import SeenTogether

    names = [name.strip() for name in text.split(",") if name.strip()]
    columns = [c for name in names for c in space.features[space.index(name)].columns]
    return SeenTogether(tuple(sorted(columns)), points)


def _listed(classes: Sequence[object]) -> str:
    return "{" + ", ".join(str(label) for label in classes) + "}"
