"""Searching one decision with several processes."""
