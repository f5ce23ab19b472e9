"""Queries about explanations: largest value sets, probabilities, coverage of data."""
