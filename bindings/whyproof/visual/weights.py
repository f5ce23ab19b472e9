"""Weights of bridges on disc: safetensors with a small JSON header, checked key by key.

No pickle is ever read.  The header says which network the numbers belong to, the size of
its images, the schedule, and how it was trained.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from whyproof.engine.errors import MissingExtraError, ModelError

from .bridge import Bridge
from .networks.small import SmallUNet, SmallUNetShape
from .schedule import Schedule

__all__ = [
    "load_bridge",
    "load_exactly",
    "read_tensors",
    "save_bridge",
    "tensor_names",
    "write_tensors",
]

_FORMAT = "whyproof-bridge-1"
_MOST_BYTES = 8 << 30
_SHOWN = 8


def save_bridge(
    bridge: Bridge, path: str | os.PathLike[str], training: Mapping[str, object] | None = None
) -> None:
    """Write a bridge with a small network.

    Parameters
    ----------
    bridge
        Its network is a `SmallUNet`.
    path
        File to write, by custom ``.safetensors``.
    training
        How it was trained, ready for JSON.
    """
    network = bridge.network
    if not isinstance(network, SmallUNet):
        raise ModelError("only bridges with a small network are written; keep the file they are of")
    schedule = bridge.schedule
    header = {
        "format": _FORMAT,
        "network": network.shape.as_json(),
        "image": list(bridge.shape),
        "schedule": {
            "steps": schedule.steps,
            "beta_max": schedule.beta_max,
            "beta_min": schedule.beta_min,
        },
        "training": dict(training or {}),
    }
    write_tensors(path, network.state_dict(), header)


def load_bridge(path: str | os.PathLike[str], *, device: str = "cpu") -> Bridge:
    """Read a bridge that `save_bridge` or ``whyproof visual train`` wrote.

    Raises
    ------
    ModelError
        If the file is no such file, or lacks weights or has others; the keys are listed.
    """
    tensors, header = read_tensors(path)
    name = Path(path).name
    if header.get("format") != _FORMAT:
        raise ModelError(
            f"{name} holds no bridge (format {header.get('format')!r}); "
            "train one with 'whyproof visual train', or read a published checkpoint "
            "with load_adm_bridge"
        )
    try:
        shape = SmallUNetShape(**cast("dict[str, int]", header["network"]))
        channels, height, width = (int(n) for n in cast("list[int]", header["image"]))
        numbers = cast("dict[str, Any]", header["schedule"])
        schedule = Schedule(
            int(numbers["steps"]), float(numbers["beta_max"]), float(numbers["beta_min"])
        )
        network = SmallUNet(shape)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{name}: the header cannot be read: {error}") from error
    load_exactly(network, tensors, name)
    network.to(device).eval().requires_grad_(False)
    return Bridge(network, (channels, height, width), schedule)


def load_exactly(
    network: nn.Module, tensors: Mapping[str, Tensor], name: str, *, assign: bool = False
) -> None:
    """Copy weights into a network of exactly those names and shapes.

    Parameters
    ----------
    network
        May be without storage (on the device ``meta``) if weights are assigned.
    tensors, name
        Weights, and the file that they are of.
    assign
        Take the tensors themselves instead of copies.

    Raises
    ------
    ModelError
        Listing names that are missing, unexpected, or of another shape.
    """
    wanted = network.state_dict()
    missing = sorted(wanted.keys() - tensors.keys())
    extra = sorted(tensors.keys() - wanted.keys())
    odd = [
        f"{key} is {tuple(tensors[key].shape)}, not {tuple(wanted[key].shape)}"
        for key in sorted(wanted.keys() & tensors.keys())
        if tensors[key].shape != wanted[key].shape
    ]
    complaints = [
        f"{what} {_listed(found)}"
        for what, found in (("missing:", missing), ("unexpected:", extra), ("shapes:", odd))
        if found
    ]
    if complaints:
        raise ModelError(f"{name} does not fit the network; {'; '.join(complaints)}")
    bad = [key for key in tensors if not bool(torch.isfinite(tensors[key].float()).all())]
    if bad:
        raise ModelError(f"{name} holds weights that are not finite: {_listed(sorted(bad))}")
    network.load_state_dict(dict(tensors), assign=assign)


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], header: Mapping[str, object]
) -> None:
    """Write tensors and a JSON header; the file appears whole or not at all."""
    save_file = _safetensors("save_file")
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(place.name + ".partial")
    plain = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    save_file(plain, str(partial), metadata={"whyproof": json.dumps(header)})
    partial.replace(place)


def read_tensors(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Read tensors and the JSON header; an empty header where there is none of ours.

    Raises
    ------
    ModelError
        If the file is absent, too large, or no safetensors file.
    """
    with _opened(path) as file:
        tensors = {key: cast(Tensor, file.get_tensor(key)) for key in file.keys()}
        header = json.loads((file.metadata() or {}).get("whyproof", "{}"))
    return tensors, header if isinstance(header, dict) else {}


def tensor_names(path: str | os.PathLike[str]) -> frozenset[str]:
    """Return the names of the tensors in a file, none of which is read; raises the same."""
    with _opened(path) as file:
        return frozenset(file.keys())


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Generator[Any]:
    safe_open = _safetensors("safe_open")
    place = Path(path)
    if not place.is_file():
        raise ModelError(
            f"there is no file {place}; weights are never downloaded, train a small bridge "
            "with 'whyproof visual train'"
        )
    if place.stat().st_size > _MOST_BYTES:
        raise ModelError(f"{place.name} is larger than {_MOST_BYTES >> 30} GiB")
    try:
        with safe_open(str(place), framework="pt") as file:
            yield file
    except Exception as error:
        raise ModelError(f"{place.name} is no safetensors file: {error}") from error


def _safetensors(name: str) -> Any:  # noqa: ANN401
    try:
        import safetensors
        import safetensors.torch
    except ImportError as error:
        raise MissingExtraError("safetensors", "visual", "read and write weights") from error
    return safetensors.safe_open if name == "safe_open" else safetensors.torch.save_file


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
