"""Mesh and true Mesh -> Scores."""
