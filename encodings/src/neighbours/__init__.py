"""Nearest neighbours: who is near, and who could be."""
