"""An orbit: what no camera of a turntable saw is inferred, and said to be.

Run `python examples/07_orbit.py FOLDER`; without a folder it writes to `out`.
"""

import sys
from pathlib import Path

import backproject as bp
from backproject.report.pictures import side_by_side

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
out.mkdir(parents=True, exist_ok=True)

mesh = bp.Mesh.load(Path(__file__).parent / "data" / "cc0_headphones_ngons.obj")
truth = bp.normalize(mesh).mesh
views = bp.render(truth, bp.Rig.turntable(12, elevation_deg=25, size=160))

solid = bp.fuse(views, resolution=128)  # closed: what nobody saw is filled in
seen = bp.fuse(views, resolution=128, surface="seen")  # what some camera saw, open elsewhere
for name, recon in {"solid": solid, "seen": seen}.items():
    scores = bp.compare(recon, truth, views=views)
    print(f"{name}: {scores.inferred_fraction:.0%} inferred, mean error {scores.accuracy:.1e}")
side_by_side(truth, solid, out / "07_shapes.png", title="From one height: violet is inferred")
