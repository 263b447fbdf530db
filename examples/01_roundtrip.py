"""A shape there and back: depth maps, cloud, mesh, scores, and the error as a picture.

Run `python examples/01_roundtrip.py FOLDER`; without a folder it writes to `out`.
"""

import sys
from pathlib import Path

import backproject as bp
from backproject.report.pictures import error_map

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
out.mkdir(parents=True, exist_ok=True)

mesh = bp.Mesh.load(Path(__file__).parent / "data" / "cc0_headphones_ngons.obj")
unit = bp.normalize(mesh)  # centroid at the origin, diameter 1
rig = bp.Rig.dodecahedron(distance=1.5, size=224, fov_deg=43.0)
views = bp.render(unit.mesh, rig)
cloud = bp.backproject(views)
recon = bp.fuse(views, resolution=160)
scores = bp.compare(recon, unit.mesh, views=views)

for row in scores.table():
    print("  ".join(f"{cell:18}" for cell in row[:2]))
unit.restore(recon).save(out / "headphones.ply")  # back in the file's own coordinates
error_map(recon, unit.mesh, out / "01_error.png")
