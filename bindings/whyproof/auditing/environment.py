"""What a result depends on besides the question: versions, platform, processors."""

from __future__ import annotations

import os
import platform
from importlib import metadata

__all__ = ["PACKAGES", "environment"]

PACKAGES = (
    "whyproof",
    "numpy",
    "dtai-veritas",
    "python-sat",
    "highspy",
    "clingo",
    "onnx",
    "onnxruntime",
    "scikit-learn",
    "xgboost",
    "lightgbm",
    "torch",
)
"""Distributions that models or searches may run on."""


def environment() -> dict[str, object]:
    """Return versions of Python and packages, and the kind of machine, ready for JSON.

    Packages are not imported; those that are absent are left out.

    Examples
    --------
    >>> sorted(environment())
    ['machine', 'packages', 'processors', 'python', 'system']
    """
    packages: dict[str, str] = {}
    for name in PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processors": os.cpu_count() or 1,
        "packages": packages,
    }
