"""A mesh and a rig become depth maps."""
