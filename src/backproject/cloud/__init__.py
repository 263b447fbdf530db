"""Depth maps become a point cloud."""
