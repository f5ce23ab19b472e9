"""Threshold circuits: rule lists, rule sets, binarised networks and votes in one neutral form."""
