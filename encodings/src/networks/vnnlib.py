"""Read VNN-LIB specifications (plain or gzip): input boxes and output conditions.

A file declares reals ``X_i`` and ``Y_j`` and asserts formulas over ``and``, ``or`` and linear
comparisons.  Its meaning is "is there an input for which all assertions hold"; here it is
brought to the shape that verifiers share: for each of a few boxes a list of cases, each a
conjunction of linear conditions on the outputs.  Version 1.0 is read here, version 2.0 by
`vnnlib_two`.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from whyproof.engine.errors import ModelError, UnsupportedError

from .graph import Array
from .vnnlib_two import parse_version_two

__all__ = ["BoxQuery", "Condition", "read_vnnlib"]

_SECOND = re.compile(r"^\s*\(\s*(vnnlib-version|declare-network)\b", re.MULTILINE)
_TOKEN = re.compile(r"\(|\)|[^\s()]+")
_MAX_BYTES = 1 << 27
_MAX_CASES = 100_000
_Term: TypeAlias = "str | list[_Term]"
_Linear: TypeAlias = dict[str, float]


@dataclass(frozen=True, eq=False)
class Condition:
    """Linear conditions ``rows @ y + offset <= 0`` on the outputs, all at once.

    Parameters
    ----------
    rows
        Shape ``(conditions, outputs)``.
    offset
        Shape ``(conditions,)``.
    """

    rows: Array
    offset: Array


@dataclass(frozen=True, eq=False)
class BoxQuery:
    """Ask for an input in a box whose outputs satisfy one of the cases.

    Parameters
    ----------
    lower, upper
        Shape ``(inputs,)`` each.
    cases
        An empty list of rows means "any output".
    """

    lower: Array
    upper: Array
    cases: tuple[Condition, ...]


@dataclass
class _Atom:
    """``sum of terms + constant <= 0``."""

    terms: _Linear
    constant: float


@dataclass
class _Conjunction:
    atoms: list[_Atom] = field(default_factory=list[_Atom])


def read_vnnlib(path: str | Path, n_inputs: int, n_outputs: int) -> list[BoxQuery]:
    """Read a specification.

    Parameters
    ----------
    path
        File, gzip-compressed if its name ends in ``.gz``.
    n_inputs, n_outputs
        Of the network, to check the declarations against.

    Raises
    ------
    ModelError
        If it is no VNN-LIB text or does not fit the network; the message names the line.
    MissingExtraError
        For version 2.0 without its library.
    UnsupportedError
        For formulas that are not linear, or mix inputs and outputs in one comparison.
    """
    place = Path(path)
    try:
        with gzip.open(place, "rt") if place.suffix == ".gz" else place.open() as file:
            text = file.read(_MAX_BYTES)
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise ModelError(f"{place} cannot be read: {error}") from error
    if _SECOND.search(text):
        declared, cases = _version_two(text, place)
    else:
        declared, cases = _version_one(text, place)
    if declared["X"] != n_inputs or declared["Y"] > n_outputs:
        raise ModelError(
            f"{place} declares {declared['X']} inputs and {declared['Y']} outputs, "
            f"the network has {n_inputs} and {n_outputs}"
        )
    return _boxes(cases, n_inputs, n_outputs, place)


def _version_two(text: str, place: Path) -> tuple[dict[str, int], list[_Conjunction]]:
    declared, assertions = parse_version_two(text, place)
    cases: list[_Conjunction] = [_Conjunction()]
    for line, assertion in enumerate(assertions, start=1):
        read = [_Conjunction([_Atom(*comparison) for comparison in case]) for case in assertion]
        cases = _product(cases, read, place, line)
    return declared, cases


def _version_one(text: str, place: Path) -> tuple[dict[str, int], list[_Conjunction]]:
    declared = {"X": 0, "Y": 0}
    cases: list[_Conjunction] = [_Conjunction()]
    for line, term in _commands(text, place):
        match term:
            case ["declare-const", str(name), "Real"]:
                kind, _, index = name.partition("_")
                if kind not in declared or not index.isdigit():
                    raise ModelError(f"{place}, line {line}: {name!r} is neither X_i nor Y_i")
                declared[kind] = max(declared[kind], int(index) + 1)
            case ["assert", formula]:
                cases = _product(cases, _normal(formula, place, line), place, line)
            case _:
                raise ModelError(f"{place}, line {line}: expected declare-const or assert")
    return declared, cases


def _commands(text: str, place: Path) -> Iterator[tuple[int, _Term]]:
    stack: list[list[_Term]] = []
    begun = 0
    for number, line in enumerate(text.splitlines(), start=1):
        for token in _TOKEN.findall(line.split(";", 1)[0]):
            if token == "(":
                if not stack:
                    begun = number
                stack.append([])
            elif token == ")":
                if not stack:
                    raise ModelError(f"{place}, line {number}: a bracket too many")
                done = stack.pop()
                if stack:
                    stack[-1].append(done)
                else:
                    yield begun, done
            elif stack:
                stack[-1].append(token)
            else:
                raise ModelError(f"{place}, line {number}: {token!r} outside brackets")
    if stack:
        raise ModelError(f"{place}, line {begun}: a bracket is not closed")


def _normal(term: _Term, place: Path, line: int) -> list[_Conjunction]:
    """Return a formula as a disjunction of conjunctions."""
    match term:
        case ["and", *parts]:
            result = [_Conjunction()]
            for part in parts:
                result = _product(result, _normal(part, place, line), place, line)
            return result
        case ["or", *parts]:
            return [case for part in parts for case in _normal(part, place, line)]
        case [("<=" | ">=" | "<" | ">") as relation, left, right]:
            # Strict and non-strict are told apart by replaying the witness.
            a, b = _linear(left, place, line), _linear(right, place, line)
            if relation in (">=", ">"):
                a, b = b, a
            terms = {k: a.get(k, 0.0) - b.get(k, 0.0) for k in {*a, *b}}
            constant = terms.pop("", 0.0)
            return [_Conjunction([_Atom({k: v for k, v in terms.items() if v}, constant)])]
        case _:
            raise UnsupportedError(f"{place}, line {line}: cannot read the formula {term!r}")


def _linear(term: _Term, place: Path, line: int) -> _Linear:
    match term:
        case str():
            if term[:2] in ("X_", "Y_"):
                return {term: 1.0}
            try:
                return {"": float(term)}
            except ValueError:
                raise ModelError(f"{place}, line {line}: unknown name {term!r}") from None
        case ["+", *parts]:
            return _sum([_linear(part, place, line) for part in parts])
        case ["-", part]:
            return _scaled(_linear(part, place, line), -1.0)
        case ["-", first, *parts]:
            rest = [_scaled(_linear(part, place, line), -1.0) for part in parts]
            return _sum([_linear(first, place, line), *rest])
        case ["*", left, right]:
            a, b = _linear(left, place, line), _linear(right, place, line)
            if set(a) <= {""}:
                return _scaled(b, a.get("", 0.0))
            if set(b) <= {""}:
                return _scaled(a, b.get("", 0.0))
            raise UnsupportedError(f"{place}, line {line}: a product of two variables")
        case _:
            raise UnsupportedError(f"{place}, line {line}: cannot read the term {term!r}")


def _sum(parts: Sequence[_Linear]) -> _Linear:
    total: _Linear = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0.0) + value
    return total


def _scaled(part: _Linear, factor: float) -> _Linear:
    return {name: factor * value for name, value in part.items()}


def _product(
    left: list[_Conjunction], right: list[_Conjunction], place: Path, line: int
) -> list[_Conjunction]:
    if len(right) == 1 and len(left) == 1:
        left[0].atoms.extend(right[0].atoms)
        return left
    if len(left) * len(right) > _MAX_CASES:
        raise UnsupportedError(f"{place}, line {line}: more than {_MAX_CASES} cases")
    return [_Conjunction([*a.atoms, *b.atoms]) for a in left for b in right]


def _boxes(cases: list[_Conjunction], n: int, m: int, place: Path) -> list[BoxQuery]:
    grouped: dict[bytes, tuple[Array, Array, list[Condition]]] = {}
    for case in cases:
        lower, upper = np.full(n, -np.inf), np.full(n, np.inf)
        rows: list[Array] = []
        offsets: list[float] = []
        for atom in case.atoms:
            kinds = {name[0] for name in atom.terms}
            if kinds == {"Y"}:
                row = np.zeros(m)
                for name, value in atom.terms.items():
                    row[int(name[2:])] = value
                rows.append(row)
                offsets.append(atom.constant)
            elif kinds == {"X"} and len(atom.terms) == 1:
                ((name, value),) = atom.terms.items()
                i, bound = int(name[2:]), -atom.constant / value
                if value > 0:
                    upper[i] = min(upper[i], bound)
                else:
                    lower[i] = max(lower[i], bound)
            elif kinds:
                raise UnsupportedError(
                    f"{place}: a condition joins several inputs, or inputs and outputs"
                )
        if not bool(np.isfinite(lower).all() and np.isfinite(upper).all()):
            i = int(np.argmin(np.isfinite(lower) & np.isfinite(upper)))
            raise ModelError(f"{place} does not bound X_{i}")
        key = lower.tobytes() + upper.tobytes()
        known = grouped.setdefault(key, (lower, upper, []))
        known[2].append(Condition(np.array(rows).reshape(-1, m), np.array(offsets)))
    return [
        BoxQuery(lower, upper, tuple(conditions))
        for lower, upper, conditions in grouped.values()
        if bool((lower <= upper).all())
    ]
