"""The rules of a causal world as constraints and actions of a search."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from whyproof.asp.worlds.feature import Change
from whyproof.asp.worlds.world import World
from whyproof.encodings.recourse.actions import Action, Actions
from whyproof.engine.errors import DataError
from whyproof.engine.space import FeatureSpace, Points

__all__ = ["WorldRules", "under_world"]

_DIRECTION = {
    Change.UP: Action("up"),
    Change.DOWN: Action("down"),
    Change.FROZEN: Action("stay"),
}


@dataclass(frozen=True, eq=False)
class WorldRules:
    """Causal rules and denials as one constraint: what every state of the world satisfies.

    Parameters
    ----------
    world
        Its features are columns of the space, by name.
    space
        Decodes points.
    """

    world: World
    space: FeatureSpace

    @property
    def name(self) -> str:
        """How reports refer to it."""
        return f"the rules of {self.world.name or 'the world'}"

    def holds(self, points: Points) -> npt.NDArray[np.bool_]:
        """Tell for each point whether its state violates no rule, shape ``(rows,)``."""
        return np.array([not self.broken(point) for point in points], dtype=np.bool_)

    def broken(self, point: npt.NDArray[np.float64]) -> list[str]:
        """Return the rules that a point's state violates, in words."""
        values = self.space.decode(point)
        try:
            state = self.world.state({name: values[name] for name in self.world.names})
        except DataError as error:
            return [str(error)]
        return [str(rule) for rule in self.world.violated(state)]


def under_world(
    world: World, space: FeatureSpace, actions: Actions
) -> tuple[FeatureSpace, Actions]:
    """Return the space with the world's rules and the actions with its directions.

    Features that are immutable in the world may still move by a causal rule there; what a
    search proposes is a state, so they may move here as far as the rules agree.

    Raises
    ------
    DataError
        If a feature of the world is no column, or a direction contradicts an action.
    """
    names = [column.name for column in space.columns]
    rules = dict(actions.by_feature)
    for feature in world.features:
        if feature.name not in names:
            from whyproof.engine.names import did_you_mean

            raise DataError(
                f"the world has a feature {feature.name!r} that is no column of the data"
                f"{did_you_mean(feature.name, names)}"
            )
        action = _DIRECTION.get(feature.change)
        if action is None or feature.name not in space.names:
            continue
        index = space.index(feature.name)
        before = rules.get(index, Action())
        if before.direction not in ("any", action.direction):
            raise DataError(
                f"contradictory rules for {feature.name!r}: the world says "
                f"{feature.change}, the options say {before.direction}"
            )
        rules[index] = replace(before, direction=action.direction)
    joined = replace(space, constraints=(*space.constraints, WorldRules(world, space)))
    return joined, Actions(rules)
