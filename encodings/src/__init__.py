"""Classifiers as data, their encodings, and the oracles that run them."""
