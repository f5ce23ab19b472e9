"""Flows as files: tensors as safetensors, everything else as JSON beside it.

Nothing is unpickled.  ``NAME.safetensors`` holds numbers only, ``NAME.safetensors.json`` the
shape and the hash of the numbers, so that a pair that does not belong together is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from whyproof.engine.errors import DataError, MissingExtraError

from .backend import require_torch
from .flow import FlowShape, MaskedFlow

__all__ = ["load_flow", "save_flow"]

_FORMAT = "whyproof-flow-1"
_MAX_BYTES = 512 * 1024**2


def save_flow(flow: MaskedFlow, path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write a flow to ``path`` (``.safetensors``) and a JSON file beside it.

    Returns
    -------
    The two files.

    Raises
    ------
    DataError
        If `path` has another ending or cannot be written.
    """
    save = _safetensors().save
    target = _checked(path)
    document = _beside(target)
    tensors = {name: v.detach().cpu().contiguous() for name, v in flow.parameters.items()}
    content: bytes = save(tensors)
    described = {
        "format": _FORMAT,
        "shape": asdict(flow.shape),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    try:
        for file, data in (
            (target, content),
            (document, (json.dumps(described, indent=1) + "\n").encode()),
        ):
            draft = file.with_name(file.name + ".part")
            draft.write_bytes(data)
            draft.replace(file)
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or error}") from error
    return target, document


def load_flow(path: str | os.PathLike[str]) -> MaskedFlow:
    """Read a flow that `save_flow` wrote.

    Raises
    ------
    DataError
        If a file is absent, damaged, too large, or does not belong to the other.
    """
    require_torch("read a density flow")
    load = _safetensors().load
    target = _checked(path)
    try:
        if target.stat().st_size > _MAX_BYTES:
            raise DataError(f"{target} is larger than {_MAX_BYTES} bytes; it is no flow of ours")
        content = target.read_bytes()
        described: Any = json.loads(_beside(target).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{target.with_suffix('.json')} is no JSON: {error}") from None
    if not isinstance(described, dict) or described.get("format") != _FORMAT:
        raise DataError(f"{target.with_suffix('.json')} does not describe a flow ({_FORMAT})")
    if described.get("sha256") != hashlib.sha256(content).hexdigest():
        raise DataError(f"{target} is not the file that {target.name}.json describes")
    try:
        shape = FlowShape(**described["shape"])
        return MaskedFlow(shape, load(content))
    except (KeyError, TypeError) as error:
        raise DataError(f"{target.with_suffix('.json')} lacks the flow's shape: {error}") from None
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{target} cannot be read as safetensors: {error}") from None


def _beside(target: Path) -> Path:
    return target.with_name(f"{target.name}.json")


def _checked(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    if target.suffix != ".safetensors":
        raise DataError(f"a flow is kept in a .safetensors file, found {target.name!r}")
    return target


def _safetensors() -> Any:  # noqa: ANN401
    require_torch("save or load a density flow")
    try:
        import safetensors.torch as found
    except ImportError as error:
        raise MissingExtraError("safetensors", "neural", "save or load a density flow") from error
    return found
