"""The errors of the whole product: one base class, each joined with its builtin kin.

A message says what was found, where, and what to do next, in one line.  The command
line turns what the user can mend (`InputError`, `StoreError`, `MissingExtraError`) into
exit code 2 and every other error into 1.
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "InputError",
    "MissingExtraError",
    "ModelError",
    "ReplayError",
    "StoreError",
    "UnsupportedError",
    "WhyproofError",
    "WhyproofWarning",
]


class WhyproofError(Exception):
    """Base of every error that Whyproof raises on purpose."""


class InputError(WhyproofError, ValueError):
    """What the user handed over cannot be used as it is."""


class ModelError(InputError):
    """A model file or object cannot be read."""


class DataError(InputError):
    """A table, a row, a feature space or an instance is not usable."""


class UnsupportedError(InputError, NotImplementedError):
    """The model is sound but uses something that Whyproof cannot reason about."""


class StoreError(WhyproofError, OSError):
    """An explanation store cannot be opened, read or written."""


class MissingExtraError(WhyproofError, ImportError):
    """An optional package is needed.

    Parameters
    ----------
    package
        Import name of the package that is missing.
    extra
        Name of the Whyproof extra that installs it.
    purpose
        What it is needed for, to complete "... is needed to".
    source
        What to give to pip as well, for a package that no index has.

    Examples
    --------
    >>> str(MissingExtraError("torch", "neural", "run networks"))
    "torch is needed to run networks; install it with: pip install 'whyproof[neural]'"
    """

    def __init__(self, package: str, extra: str, purpose: str, source: str = "") -> None:
        self.package = package
        self.extra = extra
        what = f"'whyproof[{extra}]'" + (f" {source}" if source else "")
        super().__init__(f"{package} is needed to {purpose}; install it with: pip install {what}")


class ReplayError(WhyproofError, RuntimeError):
    """A counterexample did not change the decision of the model that runs.

    This is a defect of Whyproof, never of the user's input: no answer is given, and
    `reproducer` holds what is needed to repeat it.

    Parameters
    ----------
    message
        What was expected and what the model said.
    reproducer
        JSON-ready description: instance, point, free features, outcomes.
    """

    def __init__(self, message: str, reproducer: dict[str, object]) -> None:
        self.reproducer = reproducer
        super().__init__(message)


class WhyproofWarning(UserWarning):
    """Something works but deserves the user's attention."""
