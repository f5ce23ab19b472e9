"""``whyproof recheck``: somebody else's explanation of a network's decision."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from whyproof.engine.answers import Counterexample
from whyproof.engine.errors import DataError
from whyproof.engine.explanation import Kind

from .failures import ANSWERED, PARTIAL
from .output import json_line, line

__all__ = ["recheck_command"]

_MAX_BYTES = 1 << 28


def recheck_command(
    model: Path,
    image: Path,
    members: Path,
    *,
    kind: Kind,
    epsilon: float,
    row: int,
    seconds: float,
    as_json: bool,
) -> int:
    """Check a published set of pixels against the network that runs."""
    from whyproof.encodings.networks.classifier import NetworkClassifier
    from whyproof.encodings.networks.spaces import image_space
    from whyproof.engine.errors import MissingExtraError
    from whyproof.engine.problem import ExplanationProblem
    from whyproof.engine.region import Region

    try:
        from whyproof.encodings.networks.oracle import NetworkOracle
        from whyproof.encodings.networks.recheck import Claim, recheck
    except ImportError as error:
        raise MissingExtraError("torch", "neural", "check explanations of networks") from error
    network = NetworkClassifier.load(model)
    point = _image(image, row, network.n_columns)
    space = image_space(network.input_shape)
    problem = ExplanationProblem(network, space, point, Region.ball(epsilon))
    found = recheck(NetworkOracle(problem), kind, _members(members), seconds=seconds)
    witness = found.answer if isinstance(found.answer, Counterexample) else None
    if as_json:
        json_line(
            {
                "kind": str(kind),
                "size": len(found.members),
                "claim": str(found.claim),
                "minimal": str(found.minimal),
                "prediction": problem.label,
                "outcome": None if witness is None else network.classes[int(witness.outcome)],
                "moved": None if witness is None else sorted(witness.moved),
                "superfluous": sorted(found.superfluous),
                "needed": sorted(found.needed),
            }
        )
    else:
        what = "force" if kind is Kind.AXP else "can change"
        line(f"{found.claim}: that the {len(found.members)} pixels given {what} {problem.label}")
        if witness is not None:
            line(f"a point that moves {len(witness.moved)} pixels is class {witness.outcome:g}")
        if found.claim is Claim.PROVED:
            line(
                f"minimal: {found.minimal} ({len(found.needed)} pixels needed, "
                f"{len(found.superfluous)} superfluous)"
            )
    return PARTIAL if found.claim is Claim.OPEN else ANSWERED


def _image(path: Path, row: int, n: int) -> npt.NDArray[np.float64]:
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path} is not a file of at most 256 MiB")
    try:
        data = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a numpy file: {error}") from error
    if not isinstance(data, np.ndarray):
        raise DataError(f"{path} holds several arrays; save one image or one batch as .npy")
    whole = data.dtype.kind in "ui"
    flat = np.asarray(data, dtype=np.float32).reshape(-1)
    if flat.size % n:
        raise DataError(f"{path} holds {flat.size} numbers, an image of the network has {n}")
    images = flat.reshape(-1, n)
    if not 0 <= row < len(images):
        raise DataError(f"there is no image {row}; {path} holds {len(images)}")
    # Bytes are pixels of 0 to 255, numbers are taken as they are.
    chosen = images[row] / np.float32(255) if whole else images[row]
    return np.asarray(chosen, dtype=np.float64)


def _members(path: Path) -> frozenset[int]:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    try:
        if text.lstrip().startswith("["):
            return frozenset(int(i) for i in json.loads(text))
        return frozenset(int(i) for i in text.replace(",", " ").split())
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} is not a list of pixel numbers: {error}") from error
