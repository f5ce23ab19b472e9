"""Checking rules and worlds before anyone relies on them."""
