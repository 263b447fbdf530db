"""Mesh -> the same surface in fewer triangles."""
