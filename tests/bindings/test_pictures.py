"""Pictures mark the members of an explanation and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from whyproof.engine.answers import Entailed
from whyproof.engine.errors import DataError
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.networks import image_space
from whyproof.pictures import draw_explanations, draw_shares, tinted

pytest.importorskip("matplotlib")


class Bright:
    """Says whether the first pixel is bright."""

    n_columns = 36
    classes = (0, 1)
    fingerprint = "sha256:" + "0" * 64
    structure = None
    input_shape = (1, 3, 3, 4)

    def predict(self, points: np.ndarray) -> np.ndarray:
        return (points[:, 0] > 0.5).astype(np.int64)

    def scores(self, points: np.ndarray) -> np.ndarray:
        return np.stack([1 - points[:, 0], points[:, 0]], axis=1)


def example() -> Explanation:
    space = image_space((1, 3, 3, 4))
    problem = ExplanationProblem(Bright(), space, np.full(36, 0.25))
    return Explanation(problem, Kind.AXP, frozenset({0, 6}), Entailed(frozenset({0, 6})),
                       open=frozenset({6}))  # fmt: skip


def test_members_are_tinted_and_open_ones_paler() -> None:
    picture = tinted(example())
    grey = np.full(3, 0.25)
    changed = np.abs(picture - grey).sum(axis=2)
    assert sorted(zip(*np.nonzero(changed), strict=True)) == [(0, 0), (1, 2)]
    assert changed[0, 0] > changed[1, 2] > 0


def test_pictures_are_png_files(tmp_path: Path) -> None:
    draw_explanations([example()] * 3, tmp_path / "many.png", columns=2)
    draw_shares(example().problem, {0: 1.0, 4: 0.5}, tmp_path / "heat.png", title="share")
    for name in ("many.png", "heat.png"):
        assert (tmp_path / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with pytest.raises(DataError, match="no explanation"):
        draw_explanations([], tmp_path / "none.png")
