"""Read VNN-LIB 2.0 by its reference library, into the shape of `vnnlib`.

The second version declares networks with typed tensors and speaks of ``X[0,3]``.  Parsing and
type checking are the library's (extra ``vnnlib``); its assertions are taken one by one in
disjunctive normal form and joined here, because all of them have to hold at once.  A tensor's
entries are numbered in C order, as everywhere in this package.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any, TypeAlias

from whyproof.engine.errors import MissingExtraError, ModelError, UnsupportedError

__all__ = ["Comparison", "Specification", "parse_version_two"]

_Untyped: TypeAlias = Any
"""The library's own nodes."""

Comparison: TypeAlias = tuple[dict[str, float], float]
"""``sum of factor * name + constant <= 0`` with names ``X_i`` and ``Y_i``."""

Specification: TypeAlias = tuple[dict[str, int], list[list[list[Comparison]]]]
"""Numbers of inputs and outputs; per assertion its cases, each a conjunction."""


def parse_version_two(text: str, place: Path) -> Specification:
    """Read the text of a specification.

    Parameters
    ----------
    text, place
        Content and path of the file.

    Raises
    ------
    MissingExtraError
        Without the library.
    ModelError
        If the library refuses the text; the message is its own.
    UnsupportedError
        For several networks, inputs or outputs, hidden neurons, and terms that are not linear.
    """
    try:
        import vnnlib
    except ImportError as error:
        raise MissingExtraError("vnnlib", "vnnlib", "read VNN-LIB 2.0") from error
    try:
        query = vnnlib.parse_query_string(text)
    except vnnlib.VNNLibException as error:
        told = " ".join(str(error).split())
        raise ModelError(f"{place} is no VNN-LIB 2.0: {told[:400]}") from error
    if len(query.networks) != 1:
        raise UnsupportedError(f"{place} declares {len(query.networks)} networks; one is supported")
    (network,) = query.networks
    if len(network.inputs) != 1 or len(network.outputs) != 1 or network.hidden:
        raise UnsupportedError(
            f"{place}: a network with one input and one output is supported, and no hidden "
            "neurons in conditions"
        )
    shapes = {network.inputs[0].name: "X", network.outputs[0].name: "Y"}
    declared = {
        "X": math.prod(network.inputs[0].shape),
        "Y": math.prod(network.outputs[0].shape),
    }
    try:
        assertions = [
            [
                list(itertools.chain.from_iterable(_comparisons(c, shapes, place) for c in case))
                for case in assertion.expr.to_dnf()
            ]
            for assertion in query.assertions
        ]
    except vnnlib.VNNLibException as error:
        raise UnsupportedError(f"{place}: {error}") from error
    return declared, assertions


def _comparisons(node: _Untyped, names: dict[str, str], place: Path) -> list[Comparison]:
    """Return a comparison as conditions "at most zero"."""
    kind = type(node).__name__
    left, right = _linear(node.lhs, names), _linear(node.rhs, names)
    if kind in ("LessEqual", "LessThan"):
        return [_difference(left, right)]
    if kind in ("GreaterEqual", "GreaterThan"):
        return [_difference(right, left)]
    if kind == "Equal":
        return [_difference(left, right), _difference(right, left)]
    raise UnsupportedError(f"{place}: cannot read the condition {str(node).strip()}")


def _linear(node: _Untyped, names: dict[str, str]) -> Comparison:
    found = node.to_linear_expr()
    terms: dict[str, float] = {}
    for term in found.terms:
        variable = term.var
        position = 0
        for index, size in zip(variable.indices, variable.shape, strict=True):
            position = position * size + index
        name = f"{names[variable.name]}_{position}"
        terms[name] = terms.get(name, 0.0) + float(term.coeff)
    return terms, float(found.constant)


def _difference(left: Comparison, right: Comparison) -> Comparison:
    terms = dict(left[0])
    for name, factor in right[0].items():
        terms[name] = terms.get(name, 0.0) - factor
    return {name: factor for name, factor in terms.items() if factor}, left[1] - right[1]
