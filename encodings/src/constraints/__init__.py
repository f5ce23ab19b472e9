"""Constraints: one small language of formulas, decided exactly over boxes of values."""
