"""The one error of the checker."""

from __future__ import annotations

__all__ = ["Refused"]


class Refused(ValueError):
    """A certificate does not prove what it claims, or a file cannot be read."""
