"""A scene of several objects, far from the origin and in another unit; each comes back by itself.

Run `python examples/08_scene.py FOLDER`; without a folder it writes to `out`.
"""

import sys
from pathlib import Path

import trimesh

import backproject as bp
from backproject.pipeline import observe
from backproject.report.pictures import side_by_side

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
out.mkdir(parents=True, exist_ok=True)

scene = trimesh.Scene()
ring = trimesh.creation.torus(40, 12)
box = trimesh.creation.box((50, 50, 60))
ball = trimesh.creation.icosphere(subdivisions=4, radius=35)
for shape, place in ((ring, (1000, 0, 20)), (box, (1110, 20, 30)), (ball, (1060, 110, 35))):
    scene.add_geometry(shape.apply_translation(place))

truth = bp.Mesh.from_trimesh(scene)  # in millimetres, a metre off
views = observe(truth, bp.Rig.fibonacci(24, size=160))  # cameras around where the scene is
recon = bp.fuse(views, resolution=160)
parts = sorted(recon.to_trimesh().split(), key=lambda part: part.centroid[0])
for part, given in zip(parts, (ring, ball, box), strict=True):
    print(f"{len(part.faces)} triangles, volume {part.volume / given.volume:.4f} of the true one")
side_by_side(truth, recon, out / "08_shapes.png", title="Three objects")
