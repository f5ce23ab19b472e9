"""Models in: importers, and the runtimes that replay on them."""

from __future__ import annotations

from .load import load_model
from .model import Model, Runtime, fingerprint_of

__all__ = ["Model", "Runtime", "fingerprint_of", "load_model"]
