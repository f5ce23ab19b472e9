"""The one door to torch: found when first needed, with an error that names the extra."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Array", "device_named", "numbers", "require_torch", "seeded", "tensor"]

Array = npt.NDArray[np.float64]
"""Numbers outside torch, always float64."""


def require_torch(purpose: str = "search for plausible counterfactuals") -> None:
    """Refuse to go on without torch.

    Raises
    ------
    MissingExtraError
        Naming the extra that installs it.
    """
    try:
        import torch as torch
    except ImportError as error:
        raise MissingExtraError("torch", "neural", purpose) from error


def device_named(name: str) -> torch.device:
    """Return a device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"``.

    Raises
    ------
    InputError
        If there is no such device here.

    Examples
    --------
    >>> device_named("cpu").type
    'cpu'
    """
    require_torch()
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device {name!r}: torch sees no CUDA here; use 'cpu' or 'auto'")
    try:
        return torch.device(name)
    except RuntimeError:
        raise InputError(f"no device {name!r}; use 'cpu', 'cuda' or 'auto'") from None


def tensor(values: npt.ArrayLike, device: torch.device | None = None) -> Tensor:
    """Return numbers as a float32 tensor."""
    import torch

    return torch.as_tensor(np.asarray(values), dtype=torch.float32, device=device)


def numbers(values: Tensor) -> Array:
    """Return a tensor as float64 numbers outside torch."""
    return np.asarray(values.detach().cpu().numpy(), dtype=np.float64)


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Make everything random inside depend on a seed, and leave no trace outside."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
