"""Half of the views are fused, and the other half is asked whether it saw the same.

Run `python examples/10_half_the_views.py FOLDER`; without a folder it writes to `out`.
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
views = bp.render(truth, bp.Rig.dodecahedron(size=160))

half, others = views.subset(range(0, 20, 2)), views.subset(range(1, 20, 2))
recon = bp.fuse(half, resolution=128)
again = bp.render(recon, others.rig)  # what the others would see of it
both = others.silhouettes & again.silhouettes
pixel = 1.5 / views.rig.intrinsics[0, 0, 0]
gap = np.abs(again.depth[both] - others.depth[both]) / pixel
print(f"silhouettes overlap by {both.sum() / (others.silhouettes | again.silhouettes).sum():.1%}")
print(f"depth differs by {np.median(gap):.3f} pixels in the median, {gap.mean():.3f} in the mean")
error_map(recon, truth, out / "10_error.png", title="Out of 10 of the 20 views")
