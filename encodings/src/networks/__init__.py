"""Neural networks: import, bounds, branch and bound, and explanations within a distance."""
