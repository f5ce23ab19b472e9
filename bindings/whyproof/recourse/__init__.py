"""Recourse: nearest counterfactuals in words and JSON, and actions for groups."""

from __future__ import annotations

from .answers import nearest_as_json, nearest_in_words
from .group import GroupRecourse, group_recourse

__all__ = ["GroupRecourse", "group_recourse", "nearest_as_json", "nearest_in_words"]
