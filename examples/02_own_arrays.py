"""Depth maps of your own, as arrays: here a sphere's, from a formula, with a hole in one view.

Run `python examples/02_own_arrays.py FOLDER`; without a folder it writes to `out`.
"""

import sys
from pathlib import Path

import numpy as np

import backproject as bp
from backproject.report.pictures import contact_sheet

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
out.mkdir(parents=True, exist_ok=True)

rig = bp.Rig.fibonacci(12, distance=1.5, size=96)  # any (N, 4, 4) poses with OpenCV axes will do
column, row = np.meshgrid(np.arange(96) + 0.5, np.arange(96) + 0.5)  # pixel centres
focal, centre = rig.intrinsics[0, 0, 0], rig.intrinsics[0, 0, 2]
ray = np.stack([(column - centre) / focal, (row - centre) / focal, np.ones((96, 96))], axis=-1)

# |z ray - (0, 0, 1.5)| = 0.4: every camera looks at the sphere's centre from 1.5 away
a, b, c = (ray**2).sum(axis=-1), -2 * 1.5 * ray[..., 2], 1.5**2 - 0.4**2
root = b**2 - 4 * a * c
z = np.where(root >= 0, (-b - np.sqrt(np.maximum(root, 0))) / (2 * a), np.inf)  # inf: empty
depth = np.repeat(z[None], 12, axis=0)
depth[0, 40:56, 40:56] = np.nan  # not measured

views = bp.ViewSet.from_arrays(depth, rig.intrinsics[0], rig.world_from_camera)
recon = bp.fuse(views, resolution=64)
radii = np.linalg.norm(recon.vertices, axis=1)
print(f"radius {radii.min():.4f} to {radii.max():.4f}, truly 0.4")
contact_sheet(views, out / "02_depth.png", title="A sphere from 12 sides")
