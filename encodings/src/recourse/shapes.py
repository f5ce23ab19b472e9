"""Models as trees and bodies: what each family brings to the program of a nearest counterfactual.

The *shell* is an ensemble with the model's base, decision rule and classes, and with a tree for
everything that can be said by one: a table over few values, a test of rules.  The body is
the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from whyproof.encodings.circuits.circuit import Circuit
from whyproof.encodings.linear.additive import AdditiveModel, ColumnTerm
from whyproof.encodings.linear.as_trees import MOST_VALUES, table_tree
from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.classifier import Classifier
from whyproof.engine.errors import DataError, MissingExtraError, UnsupportedError
from whyproof.engine.space import Column, FeatureSpace

from .bodies import Body, GateBody, LineBody

__all__ = ["Shape", "shape_of"]

_UNBOUNDED = 1e6
"""Size of values, for rounding, of columns without bounds."""


@dataclass(frozen=True, eq=False)
class Shape:
    """A model as a sum over leaves and a body.

    Parameters
    ----------
    ensemble
        Decides together with the body.
    body
        What trees cannot say; `None` for trees alone.
    """

    ensemble: TreeEnsemble
    body: Body | None = None


def shape_of(model: Classifier, space: FeatureSpace) -> Shape:
    """Return a model as the program of a nearest counterfactual needs it.

    Parameters
    ----------
    model
        Trees, a linear model, rules, or a network of piecewise linear activations.
    space
        Its inputs.

    Raises
    ------
    UnsupportedError
        For other models.
    DataError
        If the space does not fit.
    """
    if model.n_columns != space.n_columns:
        raise DataError(
            f"the model has {model.n_columns} inputs, the space {space.n_columns} columns"
        )
    structure = model.structure
    if isinstance(structure, TreeEnsemble):
        return Shape(structure)
    if isinstance(structure, AdditiveModel):
        return _additive(structure, space)
    if isinstance(structure, Circuit):
        return _circuit(structure)
    if type(structure).__name__ == "NetworkGraph":
        try:
            from whyproof.encodings.networks.nearness import network_shape
        except ImportError as error:
            raise MissingExtraError("torch", "neural", "find nearest changes of networks") from (
                error
            )
        ensemble, body = network_shape(model, space)
        return Shape(ensemble, body)
    raise UnsupportedError(
        "this search needs models that are tree ensembles, linear models, rules or ReLU networks, "
        f"not {type(structure).__name__}"
    )


def _additive(model: AdditiveModel, space: FeatureSpace) -> Shape:
    slopes = np.zeros((model.n_columns, model.n_outputs))
    widths = np.ones(model.n_columns)
    base, sizes = model.base.copy(), float(model.base_sizes.max(initial=0.0))
    trees: list[Tree] = []
    for term in model.terms:
        column = space.columns[term.column]
        bounds = np.abs([b for b in column.domain.bounds if np.isfinite(b)])
        reach = float(bounds.max(initial=1.0)) if len(bounds) == 2 else _UNBOUNDED
        if term.is_constant and term.missing is None:
            base = base + term.coefficients[0, :, 0]
        elif _is_line(term) and (not _is_listed(column) or column.domain.nullable):
            coefficients = term.coefficients[0]
            slopes[term.column] = coefficients[:, 1]
            widths[term.column] = reach if len(bounds) == 2 else 1.0
            base = base + coefficients[:, 0] - coefficients[:, 1] * term.center
        elif _is_listed(column):
            trees.append(table_tree(term, column))
        else:
            raise UnsupportedError(
                f"the model is neither linear nor a table in column {column.name!r}: nearest "
                "changes of such models are found with --norm linf and without rules"
            )
        y = reach + abs(term.center)
        bound = term.sizes[..., 0] + y * (term.sizes[..., 1] + y * term.sizes[..., 2])
        sizes += float(bound.max(initial=0.0))
    ensemble = TreeEnsemble(
        model.n_columns,
        tuple(trees),
        base,
        model.rule,
        model.classes,
        input_type="float64",
        slack=2 * (model.rounding + 8 * 2.0**-52) * sizes,
        link=model.link,
    )
    return Shape(ensemble, LineBody(slopes, widths))


def _is_listed(column: Column) -> bool:
    """Tell whether a column has few values: ties among them are told apart one by one."""
    low, high = column.domain.bounds
    return column.domain.is_discrete and high - low < MOST_VALUES


def _is_line(term: ColumnTerm) -> bool:
    whole = len(term.lower) == 1 and bool(np.isinf([term.lower[0], term.upper[0]]).all())
    return whole and term.missing is None and not term.coefficients[:, :, 2].any()


def _circuit(circuit: Circuit) -> Shape:
    """Return a circuit; its tests are trees that add nothing, so that columns are cut there."""
    trees = [
        Tree(
            tree.column,
            tree.boundary,
            tree.left,
            tree.right,
            tree.missing_left,
            np.zeros((tree.n_nodes, circuit.n_outputs)),
            tree.categories,
            tree.zero_missing,
        )
        for tree in circuit.board.trees
    ]
    kind: Literal["float64"] = "float64"
    ensemble = TreeEnsemble(
        circuit.n_columns,
        tuple(trees),
        np.zeros(circuit.n_outputs),
        DecisionRule.ARGMAX,
        circuit.classes,
        input_type=kind,
    )
    return Shape(ensemble, GateBody(circuit))
