"""Learning rules from tables and from the predictions of models."""

from __future__ import annotations

from .foldse import FoldSE

__all__ = ["FoldSE"]
