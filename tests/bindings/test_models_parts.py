"""The parts of importers against definitions: rounding bounds, boundaries, trees, UBJSON."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.errors import ModelError
from whyproof.models.build import boundaries_below, boundaries_up_to, build_tree
from whyproof.models.rounding import deciding_slack, summation_errors, sums_are_exact
from whyproof.models.simulate import SimulatedRuntime
from whyproof.models.ubjson import read_ubjson

FLOATS = st.floats(allow_nan=False)
SINGLES = st.floats(width=32, allow_nan=False)


@given(threshold=FLOATS, value=SINGLES)
def test_boundaries_on_the_float32_grid(threshold: float, value: float) -> None:
    up_to = boundaries_up_to(np.array([threshold]), "float32")[0]
    below = boundaries_below(np.array([threshold]), "float32")[0]
    if not (np.isposinf(threshold) and np.isposinf(value)):
        assert (value < up_to) == (value <= threshold)
    assert (value < below) == (value < threshold)
    assert np.float32(up_to) == up_to


@given(threshold=FLOATS, value=FLOATS)
def test_boundaries_on_the_float64_grid(threshold: float, value: float) -> None:
    up_to = boundaries_up_to(np.array([threshold]), "float64")[0]
    if not (np.isposinf(threshold) and np.isposinf(value)):
        assert (value < up_to) == (value <= threshold)
    assert boundaries_below(np.array([threshold]), "float64")[0] == threshold


def random_tree(random: np.random.Generator, outputs: int, values: object) -> Tree:
    """A random tree over three columns, with categories, missing and zero flags."""
    size = 2 * int(random.integers(0, 7)) + 1
    column = np.full(size, -1)
    left, right = np.full(size, -1), np.full(size, -1)
    open_leaves, used = [0], 1
    categories: dict[int, frozenset[int]] = {}
    while used < size:
        node = open_leaves.pop(int(random.integers(len(open_leaves))))
        column[node] = random.integers(0, 3)
        if column[node] == 2:
            categories[node] = frozenset(random.integers(0, 6, 3).tolist())
        left[node], right[node] = used, used + 1
        open_leaves += [used, used + 1]
        used += 2
    return build_tree(
        0,
        column,
        random.choice([-1.0, 0.0, 0.5, 1e-40, 2.0], size),
        left,
        right,
        random.random(size) < 0.5,
        values((size, outputs)),  # type: ignore[operator]
        categories=categories,
        zero_missing=random.random(size) < 0.3,
        always=(random.random(size) < 0.1) & (column != 2),
    )


def random_points(random: np.random.Generator, rows: int) -> np.ndarray:
    numbers = random.choice([-2.0, -1.0, 0.0, 1e-40, -1e-38, 0.5, 1.0, 2.0, np.nan], (rows, 2))
    return np.column_stack([numbers, random.choice([0, 1, 2, 3, 4, 5, 9, np.nan], rows)])


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), double=st.booleans())
def test_an_ensemble_reaches_the_leaves_of_its_trees(seed: int, double: bool) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(0, 5))
    trees = tuple(random_tree(random, 1, random.standard_normal) for _ in range(count))
    kind = "float64" if double else "float32"
    ensemble = TreeEnsemble(3, trees, np.zeros(1), DecisionRule.VALUE, input_type=kind)
    points = random_points(random, 40)
    leaves = ensemble.apply(points)
    terms = ensemble.terms(points)
    for number, tree in enumerate(trees):
        assert np.array_equal(leaves[:, number], tree.apply(ensemble.cast(points)))
        assert np.array_equal(terms[:, number], tree.values[leaves[:, number]])


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    precision=st.sampled_from(["float32", "float64"]),
    scale=st.sampled_from([1e-3, 1.0, 1e6]),
)
def test_simulated_sums_stay_within_their_bound(seed: int, precision: str, scale: float) -> None:
    random = np.random.default_rng(seed)

    def values(shape: tuple[int, int]) -> np.ndarray:
        drawn = random.normal(size=shape) * scale ** random.uniform(-1, 1, shape)
        return drawn.astype(precision).astype(np.float64)

    trees = tuple(random_tree(random, 2, values) for _ in range(12))
    base = values((1, 2))[0]
    ensemble = TreeEnsemble(3, trees, base, DecisionRule.ARGMAX, ("a", "b"))
    ordered = summation_errors(trees, base, precision)  # type: ignore[arg-type]
    anyhow = summation_errors(trees, base, precision, ordered=False)  # type: ignore[arg-type]
    slack = deciding_slack(ordered)
    runtime = SimulatedRuntime(ensemble, precision)  # type: ignore[arg-type]
    points = random_points(random, 20)
    found, outcomes = runtime.sums(points), runtime.predict(points)
    shuffled = SimulatedRuntime(
        TreeEnsemble(3, tuple(reversed(trees)), base, DecisionRule.ARGMAX, ("a", "b")),
        precision,  # type: ignore[arg-type]
    ).sums(points)
    for row, point in enumerate(points):
        exact = ensemble.exact_sums(point)
        for k in range(2):
            assert abs(Fraction(float(found[row, k])) - exact[k]) <= Fraction(float(ordered[k]))
            assert abs(Fraction(float(shuffled[row, k])) - exact[k]) <= Fraction(float(anyhow[k]))
        if abs(exact[0] - exact[1]) > Fraction(slack):
            assert outcomes[row] == ensemble.exact_outcome(point)
    if sums_are_exact(trees, base, precision):  # type: ignore[arg-type]
        assert np.array_equal(found, shuffled)


@settings(max_examples=60)
@given(
    st.lists(st.integers(-(2**12), 2**12), min_size=1, max_size=8),
    st.integers(-20, 20),
    st.sampled_from(["float32", "float64"]),
)
def test_exact_sums_are_recognised(numbers: list[int], shift: int, precision: str) -> None:
    values = np.array(numbers, dtype=np.float64) * 2.0**shift
    trees = [Tree.constant(np.array([value])) for value in values]
    if sums_are_exact(trees, np.zeros(1), precision):  # type: ignore[arg-type]
        steps = np.add.accumulate(values.astype(precision))
        exact = sum((Fraction(float(value)) for value in values), Fraction(0))
        assert Fraction(float(steps[-1])) == exact
    else:
        # What is not recognised has a term far below the largest sum.
        assert sum(map(abs, numbers)) > 2**20 or not any(numbers)


def test_votes_are_exact_and_thirds_are_not() -> None:
    vote = Tree.constant(np.array([0.0, 1.0]))
    assert sums_are_exact([vote] * 1000, np.zeros(2), "float32", spare=3)
    third = Tree.constant(np.array([1 / 3]))
    assert sums_are_exact([third], np.zeros(1), "float32")
    assert not sums_are_exact([third] * 3, np.zeros(1), "float64")
    assert not sums_are_exact([vote] * 9, np.full(2, 1e-30), "float64")


def leafy(**changes: object) -> Tree:
    arrays: dict[str, object] = {
        "column": np.array([0, -1, -1]),
        "boundary": np.array([0.5, 0.0, 0.0]),
        "left": np.array([1, -1, -1]),
        "right": np.array([2, -1, -1]),
        "missing_left": np.array([True, True, True]),
        "values": np.array([[9.0], [1.0], [2.0]]),
    }
    return build_tree(7, **(arrays | changes))  # type: ignore[arg-type]


def test_trees_are_put_in_one_order() -> None:
    # The same tree with another numbering, and with a node that nothing refers to.
    plain = leafy()
    moved = leafy(
        column=np.array([0, 5, -1, -1]),
        boundary=np.array([0.5, 0.0, 0.0, 0.0]),
        left=np.array([3, 9, -1, -1]),
        right=np.array([2, 9, -1, -1]),
        missing_left=np.array([True, False, False, True]),
        values=np.array([[0.0], [np.inf], [2.0], [1.0]]),
    )
    for name in ("column", "boundary", "left", "right", "missing_left", "values"):
        assert np.array_equal(getattr(plain, name), getattr(moved, name), equal_nan=True)
    assert plain.values[0, 0] == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"left": np.array([0, -1, -1])}, "tree 7 refers to a node that does not exist"),
        ({"left": np.array([3, -1, -1])}, "does not exist"),
        ({"left": np.array([-1, -1, -1])}, "does not exist"),
        ({"left": np.array([2, -1, -1])}, "two ways"),
        ({"boundary": np.array([np.nan, 0, 0])}, "threshold that is not a number"),
        ({"values": np.array([[0.0], [np.nan], [0.0]])}, "leaf value that is not finite"),
        ({"values": np.array([[0.0], [np.inf], [0.0]])}, "leaf value that is not finite"),
        ({"column": np.zeros(0, dtype=int)}, "no nodes"),
    ],
)
def test_what_is_no_tree_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        leafy(**changes)


def encoded(value: object) -> bytes:
    """UBJSON of a value, untyped containers."""
    match value:
        case None:
            return b"Z"
        case bool():
            return b"T" if value else b"F"
        case int():
            return b"L" + struct.pack(">q", value)
        case float():
            return b"D" + struct.pack(">d", value)
        case str():
            raw = value.encode()
            return b"SL" + struct.pack(">q", len(raw)) + raw
        case list():
            return b"[" + b"".join(map(encoded, value)) + b"]"
        case dict():
            items = b"".join(encoded(k)[1:] + encoded(v) for k, v in value.items())
            return b"{" + items + b"}"
    raise TypeError(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | FLOATS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON)
def test_ubjson_values_come_back(value: object) -> None:
    assert read_ubjson(encoded(value)) == value


@given(JSON, st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_damaged_ubjson_is_refused_or_read(value: object, at: int, noise: bytes) -> None:
    payload = encoded(value)
    damaged = payload[: at % len(payload)] + noise + payload[at % len(payload) + 1 :]
    try:
        read_ubjson(damaged)
    except ModelError as error:
        assert "at byte" in str(error)


def test_typed_arrays_are_arrays_and_bounded() -> None:
    payload = b"[$d#L" + struct.pack(">q", 2) + struct.pack(">ff", 1.5, -2.0)
    found = read_ubjson(payload)
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [1.5, -2.0]
    with pytest.raises(ModelError, match=r"longer than the file|ends early"):
        read_ubjson(b"[$d#L" + struct.pack(">q", 2**40))
    with pytest.raises(ModelError, match="nested too deeply"):
        read_ubjson(b"[" * 1000)
    with pytest.raises(ModelError, match="longer than the file"):
        read_ubjson(b"[$Z#L" + struct.pack(">q", 2**40))
