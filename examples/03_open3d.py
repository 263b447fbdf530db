"""Open3D's cameras and depth images, as for its `integrate`, and the mesh back in Open3D.

Run `python examples/03_open3d.py FOLDER`; without a folder it writes to `out`. Needs `open3d`.
"""

import sys
from pathlib import Path

import numpy as np
import open3d as o3d

import backproject as bp
from backproject.report.pictures import error_map

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
out.mkdir(parents=True, exist_ok=True)

ring = o3d.geometry.TriangleMesh.create_torus(0.3, 0.1, 60, 40)
scene = o3d.t.geometry.RaycastingScene()
scene.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(ring))
cameras, images = [], []
for pose in bp.Rig.fibonacci(16).camera_from_world:  # world to camera, as Open3D's extrinsic
    camera = o3d.camera.PinholeCameraParameters()
    camera.extrinsic = pose
    camera.intrinsic.set_intrinsics(128, 128, 160, 160, 63.5, 63.5)  # pixel centres at 0, 1, 2, ...
    cameras.append(camera)
    # ray casting has them at 0.5, 1.5, ...; its rays are 1 long along z, so t_hit is planar
    pinhole = np.array([[160, 0, 64], [0, 160, 64], [0, 0, 1.0]])
    rays = scene.create_rays_pinhole(pinhole, pose, 128, 128)
    images.append(scene.cast_rays(rays)["t_hit"].numpy())  # inf: the ray hits nothing

views = bp.ViewSet.from_open3d(cameras, images)
mesh = bp.fuse(views, resolution=128).to_open3d()
euler = mesh.euler_poincare_characteristic()  # 2 of a ball, 0 of a ring
print(f"{len(mesh.triangles)} triangles, manifold: {mesh.is_edge_manifold()}, Euler: {euler}")
error_map(bp.Mesh.from_open3d(mesh), bp.Mesh.from_open3d(ring), out / "03_error.png")
