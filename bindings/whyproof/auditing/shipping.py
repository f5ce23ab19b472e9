"""Sending a model to workers once, and keeping it there.

Units name the model by a token.  A worker that does not have it says so (`Unready`) and
gets it with the same unit again; from then on it keeps it, solvers included.  Before it
does, it compares its versions with the driver's: what another version would find is not
what the store says it is.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.reduction import ForkingPickler
from typing import Any, cast

from whyproof.engine.errors import InputError, UnsupportedError, WhyproofError

from .environment import environment
from .row import ExplainerLike, RowEvent
from .units import Unit, work_on

__all__ = ["Refused", "Shipment", "Unready", "answered", "receive", "ship", "try_out", "work"]

_KEPT = 4
"""Models that one worker keeps."""

_DECISIVE = ("numpy", "dtai-veritas", "python-sat", "highspy", "clingo", "onnxruntime")
"""Packages whose version may decide what is found, whatever the model."""

_LIBRARIES = {
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "scikit-learn": "scikit-learn",
    "torch": "torch",
    "onnx": "onnx",
}

# The one place where something is unpickled: what this program's own driver has sent.
_unpacked: Callable[[bytes], object] = vars(ForkingPickler)["loads"]

_at_hand: OrderedDict[str, ExplainerLike] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Shipment:
    """A model on its way.

    Parameters
    ----------
    token
        Hash of the content.
    versions
        What the driver runs; keys are packages and ``python``.
    content
        The explainer; `None` for workers that have it already.
    """

    token: str
    versions: Mapping[str, str]
    content: bytes | None = None

    @property
    def label(self) -> Shipment:
        """The shipment without its content."""
        return replace(self, content=None)


@dataclass(frozen=True, slots=True)
class Unready:
    """The worker does not have the model."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The worker cannot work with the model; `reason` says which and how to mend it."""

    reason: str


def ship(explainer: ExplainerLike) -> Shipment:
    """Pack an explainer.

    Raises
    ------
    UnsupportedError
        If something in it cannot be sent to another process.
    """
    try:
        content = bytes(ForkingPickler.dumps(explainer))
    except Exception as error:
        model = getattr(explainer, "model", explainer)
        raise UnsupportedError(
            f"the model ({type(model).__name__}) cannot be sent to other processes: {error}; "
            "define its class at the top level of a module that workers can import, and keep "
            "open files and handles out of it, or run with one job"
        ) from error
    token = hashlib.sha256(content).hexdigest()
    return Shipment(token, _versions(explainer), content)


def work(shipment: Shipment, unit: Unit) -> list[RowEvent] | Unready | Refused:
    """Do a unit in a worker; the function that executors run."""
    ready = receive(shipment)
    if not isinstance(ready, Unready | Refused):
        return list(work_on(ready, unit))
    return ready


def try_out(shipment: Shipment) -> str:
    """Receive a model; return what is wrong, or nothing.  Runs in a worker."""
    ready = receive(shipment)
    return ready.reason if isinstance(ready, Refused) else ""


def receive(shipment: Shipment) -> ExplainerLike | Unready | Refused:
    """Return the explainer of a shipment, from memory or from its content."""
    known = _at_hand.get(shipment.token)
    if known is not None:
        _at_hand.move_to_end(shipment.token)
        return known
    if shipment.content is None:
        return Unready()
    differs = _difference(shipment.versions, _own_versions())
    if differs:
        return Refused(f"the worker {_place()} {differs}")
    try:
        explainer = cast("ExplainerLike", _unpacked(shipment.content))
    except (ImportError, AttributeError) as error:
        return Refused(
            f"the worker {_place()} cannot load the model: {error}; install there what is "
            "installed here, and keep classes of your own in a module that it can import"
        )
    except Exception as error:  # whatever a class of the user's does when it is rebuilt
        what = (
            str(error) if isinstance(error, WhyproofError) else f"{type(error).__name__}: {error}"
        )
        return Refused(f"the worker {_place()} cannot load the model: {what}")
    _at_hand[shipment.token] = explainer
    while len(_at_hand) > _KEPT:
        _at_hand.popitem(last=False)
    return explainer


def answered(
    answer: list[RowEvent] | Unready | Refused,
) -> list[RowEvent] | None:
    """Return the events of an answer, `None` if the model has to be sent along.

    Raises
    ------
    InputError
        If the worker refused.
    """
    if isinstance(answer, Refused):
        raise InputError(answer.reason)
    return None if isinstance(answer, Unready) else answer


def _versions(explainer: ExplainerLike) -> dict[str, str]:
    """Return the versions that a worker has to share."""
    own = _own_versions()
    library = str(getattr(getattr(explainer, "model", None), "library", "")).lower()
    wanted = {"python", "whyproof", *_DECISIVE}
    wanted |= {package for name, package in _LIBRARIES.items() if name in library}
    return {name: version for name, version in own.items() if name in wanted}


@cache
def _own_versions() -> dict[str, str]:
    told: dict[str, Any] = environment()
    python = ".".join(str(told["python"]).split(".")[:2])
    return {"python": python, **told["packages"]}


def _difference(wanted: Mapping[str, str], here: Mapping[str, str]) -> str:
    """Say what to change in a worker, or nothing.

    Examples
    --------
    >>> _difference({"xgboost": "3.2.0"}, {"xgboost": "2.1.0"})
    'has xgboost 2.1.0 and the driver 3.2.0; install it there: pip install xgboost==3.2.0'
    >>> _difference({"python": "3.11"}, {"python": "3.11", "torch": "2.9"})
    ''
    """
    for name, version in wanted.items():
        found = here.get(name)
        if found == version:
            continue
        if name == "python":
            return f"runs Python {found} and the driver {version}; use the same on both"
        has = f"has {name} {found}" if found else f"has no {name}"
        return f"{has} and the driver {version}; install it there: pip install {name}=={version}"
    return ""


def _place() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
