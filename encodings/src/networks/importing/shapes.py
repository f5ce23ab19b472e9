"""ONNX operators that only move numbers about, and the arithmetic of shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..builder import GraphBuilder, Tensor
from .translation import Value, View, translates

__all__ = ["concatenate", "flatten", "gather", "pad", "reshape", "slices", "transpose"]

_FLOATS = (1, 11)  # ONNX element types float32 and float64


@translates("Identity", "Dropout")
def identity(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Nothing happens at inference."""
    return [view.value(0)]


@translates("Cast")
def cast(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Casts between floating-point types."""
    if view.whole("to", 1) not in _FLOATS:
        raise view.refuse(f"casts to ONNX element type {view.whole('to', 1)}; only floats are kept")
    return [view.tensor()]


@translates("Shape")
def shape(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Shapes are known while the file is read."""
    start, end = view.whole("start", 0), view.attributes.get("end")
    return [np.asarray(view.tensor().shape[start:end], dtype=np.int64)]


@translates("Size")
def size(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Count entries."""
    return [np.asarray(view.tensor().size, dtype=np.int64)]


@translates("Flatten")
def flatten(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Two axes."""
    x, axis = view.tensor(), view.whole("axis", 1)
    axis = axis + len(x.shape) if axis < 0 else axis
    left = int(np.prod(x.shape[:axis], dtype=np.int64))
    return [builder.reshape(x, (left, x.size // max(left, 1)))]


@translates("Reshape")
def reshape(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Keep the order, change the shape; 0 keeps an axis, -1 is worked out."""
    x = view.tensor()
    wanted = view.integers(1, "shape")
    if wanted is None:
        raise view.refuse("has no target shape")
    keep = not view.whole("allowzero", 0)
    shape = [x.shape[i] if s == 0 and keep else s for i, s in enumerate(wanted)]
    known = int(np.prod([s for s in shape if s >= 0], dtype=np.int64))
    if -1 in shape and known:
        shape[shape.index(-1)] = x.size // known
    if int(np.prod(shape, dtype=np.int64)) != x.size:
        raise view.refuse(
            f"turns shape {x.shape} into {tuple(wanted)}, which holds another number of entries; "
            "the batch size may be fixed in the file: export it with batch size 1"
        )
    return [builder.reshape(x, tuple(shape))]


@translates("Squeeze", "Unsqueeze")
def squeeze(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Drop or add axes of length 1."""
    x = view.tensor()
    axes = view.integers(1, "axes")
    positions = builder.positions(x)
    if view.operator == "Unsqueeze":
        return [builder.reshape(x, np.expand_dims(positions, tuple(axes or ())).shape)]
    return [builder.reshape(x, np.squeeze(positions, None if axes is None else tuple(axes)).shape)]


@translates("Transpose")
def transpose(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Permuted axes."""
    x = view.tensor()
    order = view.attributes.get("perm")
    arranged = np.transpose(builder.positions(x), None if order is None else tuple(order))
    return [builder.rearrange(view.name, x, arranged)]


@translates("Concat")
def concatenate(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Join along an axis; constant parts become fill."""
    parts: list[Tensor] = []
    anchor = next(value for value in view.inputs if isinstance(value, Tensor))
    for position, value in enumerate(view.inputs):
        if isinstance(value, Tensor):
            parts.append(value)
        else:
            constant = view.real(position)
            nowhere = np.full(constant.shape, -1, dtype=np.intp)
            parts.append(builder.select(view.name, anchor, nowhere, constant))
    return [builder.concatenate(view.name, parts, view.whole("axis", 0))]


@translates("Slice")
def slices(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Ranges along axes."""
    x = view.tensor()
    starts, ends = view.integers(1, "starts"), view.integers(2, "ends")
    if starts is None or ends is None:
        raise view.refuse("has no starts or ends")
    axes = view.integers(3, "axes") or list(range(len(starts)))
    steps = view.integers(4, "steps") or [1] * len(starts)
    cut = [slice(None)] * len(x.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # A negative step that runs past the front ends at "before the first entry".
        stop = None if step < 0 and end < -x.shape[axis] else end
        cut[axis] = slice(start, stop, step)
    return [builder.rearrange(view.name, x, builder.positions(x)[tuple(cut)])]


@translates("Gather")
def gather(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Entries along an axis at constant positions."""
    x = view.tensor()
    index = view.constant(1).astype(np.int64)
    arranged = np.take(builder.positions(x), index, axis=view.whole("axis", 0))
    return [builder.rearrange(view.name, x, arranged)]


@translates("Split")
def split(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Parts along an axis."""
    x, axis = view.tensor(), view.whole("axis", 0)
    lengths = view.integers(1, "split")
    if lengths is None:
        part = -(-x.shape[axis] // view.n_outputs)
        cuts = list(range(part, x.shape[axis], part))
    else:
        cuts = [int(c) for c in np.cumsum(lengths)[:-1]]
    parts = np.split(builder.positions(x), cuts, axis=axis)
    return [builder.rearrange(view.name, x, part) for part in parts]


@translates("Expand")
def expand(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Broadcast to a shape."""
    x = view.tensor()
    wanted = tuple(int(i) for i in view.constant(1))
    return [builder.broadcast(view.name, x, np.broadcast_shapes(x.shape, wanted))]


@translates("Tile")
def tile(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Repeat along axes."""
    x = view.tensor()
    repeats = tuple(int(i) for i in view.constant(1))
    return [builder.rearrange(view.name, x, np.tile(builder.positions(x), repeats))]


@translates("Pad")
def pad(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Pad with a constant, the edge or a mirror image."""
    x = view.tensor()
    pads = view.integers(1, "pads")
    if pads is None or min(pads) < 0:
        raise view.refuse("needs padding that is not negative")
    mode = view.attributes.get("mode", b"constant")
    mode = mode.decode() if isinstance(mode, bytes) else str(mode)
    if len(view.inputs) > 2 and view.inputs[2] is not None:
        fill = float(view.real(2).item())
    else:
        fill = view.number("value", 0.0)
    n = len(x.shape)
    axes = view.integers(3, "axes") or list(range(n))
    widths = [(0, 0)] * n
    for i, axis in enumerate(axes):
        widths[axis] = (pads[i], pads[i + len(axes)])
    positions = builder.positions(x)
    if mode == "constant":
        arranged = np.pad(positions, widths, mode="constant", constant_values=-1)
    elif mode in ("edge", "reflect"):
        arranged = np.pad(positions, widths, mode=mode)  # type: ignore[call-overload]
    else:
        raise view.refuse(f"has the unknown mode {mode!r}")
    return [builder.select(view.name, x, arranged, fill)]
