"""Rows and spaces for networks: images in numpy files, pixels, cells and channels as features.

    images = read_images("digits.npy", network)
    space = network_space(network, images, features="cells:4")

An image file holds one image or a batch, whatever the shape, as long as the numbers fit
the network's input.  Bytes are shades of 0 to 255 and become float32 numbers of 0 to 1;
other numbers are taken as they are.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from whyproof.encodings.networks.spaces import ImageLayout, flat_space, image_space
from whyproof.engine.domain import Real
from whyproof.engine.errors import DataError, InputError
from whyproof.engine.names import did_you_mean
from whyproof.engine.space import FeatureSpace
from whyproof.tables import Table, TableColumn, read_table

if TYPE_CHECKING:
    from whyproof.encodings.networks.classifier import NetworkClassifier

__all__ = ["FEATURES", "network_space", "read_images"]

FEATURES = "pixels, channels, cells:N (N by N pixels) or values"
"""What can be a feature of a network's input."""

_MAX_BYTES = 2 * 1024**3


def read_images(
    source: str | os.PathLike[str], network: NetworkClassifier, label: str | None = None
) -> Table:
    """Read rows for a network from a numpy file, or any other table.

    Parameters
    ----------
    source
        A ``.npy`` file; an ``.npz`` file, with ``:NAME`` behind it if several of its arrays
        would fit; or a table (`read_table`) with one column per input, in order.
    network
        That the rows are for.
    label
        Array of an ``.npz`` file, or column of a table, that holds labels.

    Raises
    ------
    DataError
        If the numbers do not fit the network; the message says how many it takes.
    """
    path, _, name = os.fspath(source).partition(".npz:")
    if name:
        path += ".npz"
    if not path.endswith((".npy", ".npz")):
        table = read_table(source, label)
        if table.n_columns != network.n_columns:
            raise DataError(
                f"{table.source} has {table.n_columns} columns, the network takes "
                f"{network.n_columns} numbers (shape {network.input_shape})"
            )
        return table if _usual(network) == "values" else table.renamed(_names(network))
    content = _opened(Path(path))
    labels: npt.NDArray[Any] | None = None
    if isinstance(content, np.ndarray):
        if label is not None:
            raise InputError("an .npy file holds images alone: leave --label out")
        array = content
    else:
        array, labels = _chosen(path, content, name, label, network.n_columns)
    rows = _as_rows(path, array, network)
    names = _names(network)
    columns = tuple(TableColumn(names[i], rows[:, i]) for i in range(rows.shape[1]))
    bad = ~np.isfinite(rows).all(1)
    if bool(bad.any()):
        raise DataError(f"{path}, row {int(bad.argmax())}: there are numbers that are not finite")
    if labels is not None and len(labels) != len(rows):
        raise DataError(f"{path} has {len(rows)} images and {len(labels)} labels")
    own = None if labels is None else TableColumn(str(label), labels.astype(np.float64))
    return Table(columns, own, source=Path(path).name, has_names=False)


def network_space(
    network: NetworkClassifier,
    table: Table | None = None,
    *,
    features: str | None = None,
    domain: tuple[float, float] | None = None,
) -> FeatureSpace:
    """Return the space of a network's inputs.

    Parameters
    ----------
    network
        Whose inputs.
    table
        Rows that have to lie in it.
    features
        ``"pixels"`` (their channels together), ``"channels"``, ``"cells:4"``, or ``"values"``
        for inputs that are no image; pixels by default where the shape is an image's.
    domain
        Lowest and highest value of an input; 0 and 1 for images whose numbers are, no limits
        for inputs that are no image.

    Raises
    ------
    DataError
        If the input is no image, or numbers of the table are not within 0 and 1 and no
        domain was given.
    """
    kind, colon, size = (features or _usual(network)).partition(":")
    if kind not in ("pixels", "channels", "cells", "values") or bool(colon) != (kind == "cells"):
        raise InputError(f"no features {features!r}; known are {FEATURES}")
    if kind == "values":
        low, high = domain or (-np.inf, np.inf)
        if table is None or not table.has_names:
            return flat_space(network.n_columns, lower=low, upper=high)
        inputs = Real(lower=low, upper=high)
        return FeatureSpace.of(table.names, dict.fromkeys(table.names, inputs))
    if kind == "cells" and not (size.isdigit() and int(size) > 0):
        raise InputError(f"--features {features!r}: write cells:4 for blocks of 4 by 4 pixels")
    if domain is None:
        domain = _unit(table)
    return image_space(
        network.input_shape,
        cell=int(size) if kind == "cells" else 1,
        channels="apart" if kind == "channels" else "together",
        lower=domain[0],
        upper=domain[1],
    )


def _usual(network: NetworkClassifier) -> str:
    axes = [n for n in network.input_shape if n > 1]
    if len(axes) < 2 and network.n_columns < 256:
        return "values"
    try:
        ImageLayout.of(network.input_shape)
    except DataError:
        return "values"
    return "pixels"


def _unit(table: Table | None) -> tuple[float, float]:
    for column in () if table is None else table.columns:
        numbers = column.numbers
        if numbers is None or not bool(((numbers >= 0) & (numbers <= 1)).all()):
            raise DataError(
                f"the numbers of {table.source if table else 'the table'} are not all within 0 "
                "and 1: say what a pixel may be with --domain LOW:HIGH"
            )
    return 0.0, 1.0


def _names(network: NetworkClassifier) -> list[str]:
    if _usual(network) == "values":
        return [column.name for column in flat_space(network.n_columns).columns]
    return [column.name for column in image_space(network.input_shape).columns]


def _opened(path: Path) -> npt.NDArray[Any] | dict[str, npt.NDArray[Any]]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is larger than {_MAX_BYTES} bytes")
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content:
            return {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is no numpy file that can be read: {error}") from None


def _chosen(
    path: str, content: dict[str, npt.NDArray[Any]], name: str, label: str | None, n: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Pick the images, and the labels if asked for, out of an npz file."""
    for wanted in (name, label):
        if wanted and wanted not in content:
            raise DataError(f"{path} has no array {wanted!r}{did_you_mean(wanted, list(content))}")
    labels = content[label] if label else None
    if name:
        return content[name], labels
    fitting = [k for k, a in content.items() if k != label and a.size and a.size % n == 0]
    fitting = [k for k in fitting if content[k].ndim > 1] or fitting
    if len(fitting) != 1:
        found = ", ".join(fitting) or "none"
        raise DataError(
            f"{path}: arrays that fit a network with {n} inputs: {found}; "
            f"name one as {Path(path).name}:NAME"
        )
    return content[fitting[0]], labels


def _as_rows(
    path: str, array: npt.NDArray[Any], network: NetworkClassifier
) -> npt.NDArray[np.float64]:
    n = network.n_columns
    if array.dtype.kind not in "uif":
        raise DataError(f"{path} holds {array.dtype}, not numbers")
    if not array.size or array.size % n or (array.ndim > 1 and array.shape[0] * n != array.size):
        one = array.size == n
        if not one:
            raise DataError(
                f"{path} has shape {array.shape}; the network takes images of {n} numbers "
                f"(shape {network.input_shape})"
            )
    flat = array.reshape(-1, n).astype(np.float32)
    if array.dtype == np.uint8:
        flat = flat / np.float32(255)
    return flat.astype(np.float64)
