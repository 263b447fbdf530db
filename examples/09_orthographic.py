"""Orthographic depth, as generators and differentiable renderers write it: from 14 sides.

Run `python examples/09_orthographic.py FOLDER`; without a folder it writes to `out`.
"""

import sys
from pathlib import Path

import numpy as np

import backproject as bp
from backproject.report.pictures import error_map

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
out.mkdir(parents=True, exist_ok=True)

mesh = bp.Mesh.load(Path(__file__).parent / "data" / "cc0_headphones_ngons.obj")
truth = bp.normalize(mesh).mesh
sides = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1.0)])
corners = np.array([(x, y, z) for x in (1, -1) for y in (1, -1) for z in (1, -1)]) / np.sqrt(3)
rig = bp.Rig.looking_at(np.vstack([sides, corners]), extent=1.1, size=192)  # 1.1 units high
depth = bp.render(truth, rig).depth  # along the axis, which is along the ray as well

# such arrays are what you have: pixels a unit instead of a focal length, and the word for it
pixels = np.array([[192 / 1.1, 0, 96], [0, 192 / 1.1, 96], [0, 0, 1]])
views = bp.ViewSet.from_arrays(depth, pixels, rig.world_from_camera, orthographic=True)
recon = bp.fuse(views, resolution=128)
print(f"mean error {bp.compare(recon, truth, views=views).accuracy:.1e} diameters")
error_map(recon, truth, out / "09_error.png", title="Out of 14 orthographic views")
