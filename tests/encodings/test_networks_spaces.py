"""Spaces of images group the right columns."""

from __future__ import annotations

import numpy as np
import pytest

from whyproof.encodings.networks.spaces import ImageLayout, flat_space, image_space
from whyproof.engine.errors import DataError


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (1, 4, 5, 3)])
def test_a_pixel_holds_its_channels_in_either_order(shape: tuple[int, ...]) -> None:
    space = image_space(shape)
    assert space.n_features == 20
    image = np.zeros(shape)
    where = (0, slice(None), 2, 3) if shape[1] == 3 else (0, 2, 3, slice(None))
    image[where] = 1.0
    moved = space.moved(np.zeros(60), image.ravel())
    assert [space.names[i] for i in moved] == ["pixel 2,3"]


def test_cells_partition_the_image_with_smaller_ones_at_the_edge() -> None:
    space = image_space((1, 1, 5, 7), cell=3)
    assert space.n_features == 2 * 3
    assert sorted(len(f.columns) for f in space.features) == [2, 3, 6, 6, 9, 9]


def test_values_per_channel_reach_their_columns() -> None:
    layout = ImageLayout.of((1, 3, 2, 2))
    assert layout.spread([1.0, 2.0, 3.0]).tolist() == [1.0] * 4 + [2.0] * 4 + [3.0] * 4
    space = image_space((1, 3, 2, 2), lower=[-1, -2, -3], upper=[1, 2, 3])
    assert space.columns[5].domain.bounds == (-2.0, 2.0)


@pytest.mark.parametrize("shape", [(1, 784, 1), (784,), (1, 784), (28, 28), (1, 28, 28)])
def test_flat_and_grey_inputs_are_square_images(shape: tuple[int, ...]) -> None:
    assert (ImageLayout.of(shape).height, ImageLayout.of(shape).width) == (28, 28)


@pytest.mark.parametrize("shape", [(1, 3, 5, 3), (1, 7), (1, 2, 3, 4, 5)])
def test_shapes_that_are_no_image_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError):
        ImageLayout.of(shape)


def test_flat_spaces_have_one_feature_per_column() -> None:
    assert flat_space(3, lower=0.0).columns[2].domain.bounds == (0.0, np.inf)
