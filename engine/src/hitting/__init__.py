"""Smallest hitting sets by three interchangeable back ends, and smallest explanations."""
