"""Exact nearest-neighbour search."""
