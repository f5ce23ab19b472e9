"""The checker's own reader of Universal Binary JSON: every form, and every kind of damage."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyproof.checker import Refused
from whyproof.checker.ubjson import read_ubjson
from whyproof.checker.xgboost_json import read_xgboost_json


def written(value: object, draw: st.DataObject) -> bytes:
    """Write a value, choosing among the forms that the format has."""
    if value is None or isinstance(value, bool):
        return {None: b"Z", True: b"T", False: b"F"}[value]
    if isinstance(value, int):
        forms = [(b"i", ">b", 7), (b"U", ">B", 8), (b"I", ">h", 15), (b"l", ">i", 31)]
        fitting = [
            (marker, form)
            for marker, form, bits in forms
            if -(1 << bits) * (marker != b"U") <= value < 1 << bits
        ]
        marker, form = draw.draw(st.sampled_from([*fitting, (b"L", ">q")]))
        return marker + struct.pack(form, value)
    if isinstance(value, float):
        return b"D" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode()
        return b"S" + written(len(text), draw) + text
    noise = b"N" if draw.draw(st.booleans()) else b""
    if isinstance(value, list):
        parts = [written(item, draw) for item in value]
        if value and all(isinstance(item, float) for item in value) and draw.draw(st.booleans()):
            body = b"".join(part[1:] for part in parts)
            return b"[$D#" + written(len(value), draw) + body
        if draw.draw(st.booleans()):
            return b"[#" + written(len(value), draw) + b"".join(parts)
        return b"[" + noise + b"".join(parts) + noise + b"]"
    assert isinstance(value, dict)
    parts = [written(k, draw)[1:] + written(v, draw) for k, v in value.items()]
    if draw.draw(st.booleans()):
        return b"{#" + written(len(value), draw) + b"".join(parts)
    return b"{" + b"".join(parts) + noise + b"}"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.floats(allow_nan=False), max_size=4)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(values, st.data())
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read(value: object, data: st.DataObject) -> None:
    assert read_ubjson(written(value, data)) == value


@given(st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_damaged_bytes_are_refused_or_read(payload: bytes) -> None:
    try:
        read_ubjson(payload)
    except Refused:
        pass


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[",
        b"{i\x01a",
        b"[$U",
        b"[$U#Z",
        b"[#i\xff",
        b"S",
        b"x",
        b"I\x00",
        b"HU\x01x",
        b"{U\x01aZU\x01aZ}",
    ],
)
def test_each_kind_of_damage(payload: bytes) -> None:
    with pytest.raises(Refused):
        read_ubjson(payload)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(Refused, match="deeply"):
        read_ubjson(b"[" * 100)


def test_both_forms_of_a_model_are_the_same(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    draw = np.random.default_rng(0)
    x = draw.normal(size=(120, 4))
    model = xgboost.XGBClassifier(n_estimators=5, max_depth=3).fit(x, x[:, 0] > 0)
    for ending in ("json", "ubj"):
        model.get_booster().save_model(tmp_path / f"m.{ending}")
    one, other = (read_xgboost_json((tmp_path / f"m.{e}").read_bytes()) for e in ("json", "ubj"))
    assert (one.trees, one.base, one.rule) == (other.trees, other.base, other.rule)
    damaged = (tmp_path / "m.ubj").read_bytes()[:-40]
    with pytest.raises(Refused):
        read_xgboost_json(damaged)
