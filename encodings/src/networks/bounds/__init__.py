"""Bounds on network outputs over sets of inputs, and branch and bound on top of them."""
