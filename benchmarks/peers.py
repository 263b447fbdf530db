"""The peers, one function each: ViewSet -> Mesh, set as fairly as we know how.

Only depth, cameras and a resolution reach them, as with `backproject.fuse`. Open3D is imported when
a peer is called.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

import backproject as bp

TRUNCATION_VOXELS = 2.0
"""The block grid's truncation: 8, its default, thickens thin parts, and below 1.5 surface tears."""
POISSON_DEPTH = 8
"""The octree's depth: 2^8 = 256 cells along its cube, as many as the other methods' voxels."""


def open3d_block_grid(views: bp.ViewSet, resolution: int = 256) -> bp.Mesh:
    """Return Open3D's VoxelBlockGrid: averaged truncated signed distances and marching cubes.

    Its defaults are made for sensors and would lose surface here: `weight_threshold` 3 drops what
    fewer than three views see, `depth_scale` 1000 takes metres for millimetres, `depth_max` 3 cuts.
    Integration truncates a projection to the pixel that holds it, so the principal point that has
    no bias is ours, n/2 (pixel centres at +0.5).
    """
    import open3d as o3d

    core = o3d.core
    voxel = _diameter(views) / resolution
    blocks_along = resolution // 16 + 3
    grid = o3d.t.geometry.VoxelBlockGrid(
        attr_names=("tsdf", "weight"),
        attr_dtypes=(core.float32, core.float32),
        attr_channels=((1), (1)),
        voxel_size=voxel,
        block_resolution=16,
        block_count=blocks_along**3,  # a hash table that overflows drops blocks in silence
    )
    depth_max = float(np.max(views.depth, where=np.isfinite(views.depth), initial=0)) * 2
    for k, camera in enumerate(views.rig):
        depth = np.where(np.isfinite(views.depth[k]), views.depth[k], 0).astype(np.float32)
        image = o3d.t.geometry.Image(core.Tensor(depth[..., None]))
        intrinsic = core.Tensor(camera.intrinsics)
        extrinsic = core.Tensor(np.ascontiguousarray(camera.camera_from_world))
        blocks = grid.compute_unique_block_coordinates(
            image, intrinsic, extrinsic, 1.0, depth_max, TRUNCATION_VOXELS
        )
        grid.integrate(blocks, image, intrinsic, extrinsic, 1.0, depth_max, TRUNCATION_VOXELS)
    mesh = grid.extract_triangle_mesh(weight_threshold=0.0)
    return bp.Mesh(mesh.vertex.positions.numpy().astype(float), mesh.triangle.indices.numpy())


def poisson(views: bp.ViewSet, resolution: int = 256) -> bp.Mesh:  # noqa: ARG001
    """Return screened Poisson reconstruction of the points, with normals from the depth's slopes.

    Kazhdan and Hoppe 2013, in Open3D's wrapping, at depth 8. Vertices two levels sparser than the
    full depth lie in thin air and are trimmed: of no trimming and trimming at 1, 2, 3 and 4 levels
    this scores best. So does Open3D's default interpolation against `linear_fit`.
    """
    points, normals = _cloud_with_slopes(views)
    return _poisson_mesh(points, normals, sparsest=POISSON_DEPTH - 2)


def original(views: bp.ViewSet, resolution: int = 256) -> bp.Mesh:  # noqa: ARG001
    """Return what the recipe of Soltani et al. (CVPR 2017) makes of the views.

    Pixels are back-projected through their top-left corners (half a pixel off); a point survives
    where each other view has a silhouette within the 3 x 3 pixels around its projection; normals by
    PCA over 20 neighbours, turned to the point's own camera; screened Poisson.
    """
    import open3d as o3d

    points, cameras = _union_of_survivors(views)
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    cloud.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(20))
    normals = np.asarray(cloud.normals)
    facing = np.einsum("pk,pk->p", normals, cameras - points)
    return _poisson_mesh(points, np.where(facing[:, None] < 0, -normals, normals))


def render_open3d(mesh: bp.Mesh, rig: bp.Rig) -> bp.ViewSet:
    """Return depth maps by Embree ray casting, the scene's building included.

    `t_hit` is planar z because the rays' directions have z = 1 in the camera's frame.
    """
    import open3d as o3d

    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(mesh.vertices.astype(np.float32)),
        o3d.core.Tensor(mesh.faces.astype(np.uint32)),
    )
    depth = np.empty((len(rig), rig.height, rig.width), np.float32)
    for k, camera in enumerate(rig):
        rays = o3d.t.geometry.RaycastingScene.create_rays_pinhole(
            o3d.core.Tensor(camera.intrinsics),
            o3d.core.Tensor(np.ascontiguousarray(camera.camera_from_world)),
            rig.width,
            rig.height,
        )
        depth[k] = scene.cast_rays(rays)["t_hit"].numpy()
    return bp.ViewSet(depth, rig)


METHODS = {"open3d": open3d_block_grid, "poisson": poisson, "original": original}


def _diameter(views: bp.ViewSet) -> float:
    """Return the size of the scene by the protocol: cameras at 1.5 times the diameter from the
    origin, however few they are.
    """
    return float(np.linalg.norm(views.rig.centers_world, axis=1).mean()) / 1.5


def _poisson_mesh(
    points: NDArray[np.float64], normals: NDArray[np.float64], *, sparsest: float = 0
) -> bp.Mesh:
    """Return the Poisson surface in the points' box, where the octree is at least so deep."""
    import open3d as o3d

    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    cloud.normals = o3d.utility.Vector3dVector(normals)
    mesh, depth = o3d.geometry.TriangleMesh.create_from_point_cloud_poisson(
        cloud, depth=POISSON_DEPTH
    )
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.triangles)
    margin = np.ptp(points, axis=0).max() / 2**POISSON_DEPTH
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    inside = ((vertices >= low) & (vertices <= high)).all(axis=1)
    kept = inside & (np.asarray(depth) >= sparsest)
    return bp.Mesh(vertices, faces[kept[faces].all(axis=1)])


def _cloud_with_slopes(views: bp.ViewSet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points at pixel centres (P, 3), and normals (P, 3) from slopes of inverse depth.

    On a plane 1/z = a u + b v + c in pixel coordinates, and the normal is (a fx, b fy, a cx + b cy
    + c) up to length. Of the central, left and right differences the central one is taken where 1/z
    runs smoothly, else the flatter side.
    """
    all_points, all_normals = [], []
    for k, camera in enumerate(views.rig):
        inverse = 1 / np.where(np.isfinite(views.depth[k]), views.depth[k], np.nan).astype(float)
        down, across = (_slope(inverse, axis) for axis in (0, 1))
        row, column = np.nonzero(np.isfinite(down) & np.isfinite(across))
        pixel = np.stack([column, row], axis=1) + 0.5
        a, b, w = across[row, column], down[row, column], inverse[row, column]
        (fx, _, cx), (_, fy, cy), _ = camera.intrinsics
        constant = w - a * pixel[:, 0] - b * pixel[:, 1]
        normal = -np.stack([a * fx, b * fy, a * cx + b * cy + constant], axis=1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        all_points.append(camera.unproject(pixel, 1 / w))
        all_normals.append(normal @ camera.world_from_camera[:3, :3].T)
    return np.concatenate(all_points), np.concatenate(all_normals)


def _slope(inverse: NDArray[np.float64], axis: int, jump: float = 0.02) -> NDArray[np.float64]:
    """Return the slope of inverse depth along an axis, nan without a neighbour on the surface."""
    inverse = np.moveaxis(inverse, axis, 0)
    step = np.diff(inverse, axis=0)
    step[np.abs(step) > jump * inverse[1:]] = np.nan
    gap = np.full_like(inverse[:1], np.nan)
    before, after = np.concatenate([gap, step]), np.concatenate([step, gap])
    flatter = np.where(np.abs(before) < np.abs(after), before, after)
    smooth = np.abs(after - before) < 0.5 * (np.abs(after) + np.abs(before)) + 1e-3 * inverse
    slope = np.where(smooth, (before + after) / 2, flatter)
    slope = np.where(np.isnan(before), after, np.where(np.isnan(after), before, slope))
    return np.moveaxis(slope, 0, axis)


def _union_of_survivors(views: bp.ViewSet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the recipe's points (P, 3) and the place of each one's camera (P, 3)."""
    far_enough = 1.75 * _diameter(views)
    near_silhouette = maximum_filter(views.silhouettes, size=(1, 3, 3))
    points, own = [], []
    for k, camera in enumerate(views.rig):
        row, column = np.nonzero(views.depth[k] < far_enough)
        # the slip: (column, row) is the pixel's top-left corner
        corner = np.stack([column, row], axis=1)
        points.append(camera.unproject(corner, views.depth[k][row, column]))
        own.append(np.full(len(row), k))
    union, own_view = np.concatenate(points), np.concatenate(own)
    keep = np.ones(len(union), bool)
    for k, camera in enumerate(views.rig):
        pixel, _ = camera.project(union)
        column, row = np.floor(pixel).astype(int).T
        inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
        hit = np.zeros(len(union), bool)
        hit[inside] = near_silhouette[k][row[inside], column[inside]]
        keep &= hit | (own_view == k)
    return union[keep], views.rig.centers_world[own_view[keep]]
