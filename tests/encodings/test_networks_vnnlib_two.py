"""VNN-LIB 2.0 means what the same conditions mean in version 1.0."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from whyproof.encodings.networks.vnnlib import BoxQuery, read_vnnlib
from whyproof.engine.errors import MissingExtraError, ModelError, UnsupportedError

HEAD = """(vnnlib-version <2.0>)
(declare-network N
  (declare-input X float32 [1, 2, 2])
  (declare-output Y float32 [1, 2]))
"""
BOX = "".join(
    f"(assert (and (>= X[0,{i},{j}] -0.5) (<= X[0,{i},{j}] {1 + i}.5)))\n"
    for i in (0, 1)
    for j in (0, 1)
)


def write(folder: Path, text: str) -> Path:
    path = folder / "p.vnnlib"
    path.write_text(text)
    return path


def same(left: list[BoxQuery], right: list[BoxQuery]) -> bool:
    def key(query: BoxQuery) -> object:
        cases = sorted(
            (case.rows.round(9).tolist(), case.offset.round(9).tolist()) for case in query.cases
        )
        return query.lower.tolist(), query.upper.tolist(), cases

    return sorted(map(key, left), key=str) == sorted(map(key, right), key=str)


@pytest.mark.parametrize(
    ("second", "first"),
    [
        ("(assert (<= Y[0,0] -3.0))", "(assert (<= Y_0 -3.0))"),
        (
            "(assert (or (<= (+ (* 2.0 Y[0,0]) (* -1.0 Y[0,1])) -3.0) (> Y[0,0] Y[0,1])))",
            "(assert (or (<= (+ (* 2.0 Y_0) (* -1.0 Y_1)) -3.0) (> Y_0 Y_1)))",
        ),
        (
            "(assert (or (and (<= X[0,1,0] 0.0) (>= Y[0,1] 1.0)) (<= Y[0,0] Y[0,1])))",
            "(assert (or (and (<= X_2 0.0) (>= Y_1 1.0)) (<= Y_0 Y_1)))",
        ),
        ("(assert (== Y[0,0] 2.0))", "(assert (and (<= Y_0 2.0) (>= Y_0 2.0)))"),
    ],
)
def test_both_versions_are_read_alike(tmp_path: Path, second: str, first: str) -> None:
    pytest.importorskip("vnnlib")
    old = "".join(f"(declare-const X_{i} Real)\n" for i in range(4))
    old += "(declare-const Y_0 Real)(declare-const Y_1 Real)\n"
    old += "".join(
        f"(assert (>= X_{2 * i + j} -0.5))(assert (<= X_{2 * i + j} {1 + i}.5))\n"
        for i in (0, 1)
        for j in (0, 1)
    )
    two = read_vnnlib(write(tmp_path, HEAD + BOX + second), 4, 2)
    one = read_vnnlib(write(tmp_path, old + first), 4, 2)
    assert same(two, one)
    assert any(np.isfinite(query.lower).all() for query in two)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (HEAD + "(assert (<= Z[0] 1.0))", ModelError, "no VNN-LIB 2.0"),
        (HEAD + BOX + "(assert (!= Y[0,0] 1.0))", UnsupportedError, "cannot read the condition"),
        (HEAD + "(assert (<= Y[0,0] 1.0))", ModelError, "does not bound X_0"),
        (
            HEAD.replace("(declare-output", "(declare-input Z float32 [1])\n  (declare-output")
            + "(assert (<= Y[0,0] 1.0))",
            UnsupportedError,
            "one input and one output",
        ),
        (HEAD.replace("2, 2]", "3]") + "(assert (<= Y[0,0] 1.0))", ModelError, "3 inputs"),
    ],
)
def test_bad_specifications_of_version_two_are_named(
    tmp_path: Path, text: str, error: type[Exception], words: str
) -> None:
    pytest.importorskip("vnnlib")
    with pytest.raises(error, match=words):
        read_vnnlib(write(tmp_path, text), 4, 2)


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vnnlib", None)
    with pytest.raises(MissingExtraError, match=r"whyproof\[vnnlib\]"):
        read_vnnlib(write(tmp_path, HEAD + BOX), 4, 2)
