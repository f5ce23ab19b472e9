"""Whyproof explains decisions of machine-learning models with evidence anyone can check."""

from __future__ import annotations

__version__ = "0.1.0"
