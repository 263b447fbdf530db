"""Depth maps to a mesh: evidence, solid, closing, surface, in that order."""
