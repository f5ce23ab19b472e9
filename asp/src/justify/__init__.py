"""Justifications: why a decision holds, why a step moved what it moved, in words."""
