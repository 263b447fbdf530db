"""Small shapes and their depth maps from geometry alone, to hold results against."""

from dataclasses import replace

import numpy as np

import backproject as bp


def box(side=1.0, center=(0.0, 0.0, 0.0)):
    """Return an axis-aligned cube of 12 triangles that face outward."""
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    return bp.Mesh(corners * side + center, np.array(faces))


def sphere(radius=1.0, splits=4):
    """Return an icosphere: corners on the sphere, faces within it."""
    golden = (1 + 5**0.5) / 2
    ring = [(-1, golden, 0), (1, golden, 0), (-1, -golden, 0), (1, -golden, 0)]
    vertices = np.array(ring + [(z, x, y) for x, y, z in ring] + [(y, z, x) for x, y, z in ring])
    vertices = vertices / np.linalg.norm(vertices[0])
    near = np.linalg.norm(vertices[:, None] - vertices[None], axis=2) < 1.1
    triples = [
        (i, j, k)
        for i in range(12)
        for j in range(i + 1, 12)
        for k in range(j + 1, 12)
        if near[i, j] and near[j, k] and near[i, k]
    ]
    triangles = vertices[np.array(triples)]
    inward = np.linalg.det(triangles) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    for _ in range(splits):
        a, b, c = np.moveaxis(triangles, 1, 0)
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        triangles = np.concatenate([np.stack(part, axis=1) for part in parts])
        triangles /= np.linalg.norm(triangles, axis=2, keepdims=True)
    corners, index = np.unique(triangles.reshape(-1, 3).round(12), axis=0, return_inverse=True)
    return bp.Mesh(corners * radius, index.reshape(-1, 3))


def off_sphere(mesh, radius):
    """Return how far a mesh lies off a sphere: its vertices (V,), outward; its area in the mean,
    outward and to either side; and how far inside the area would lie if the vertices lay on it, by
    the chords.
    """
    a, b, c = (mesh.triangles[:, k] for k in range(3))
    steps = (np.arange(8) + 1 / 3) / 8
    shares = [(1 - u - v, u, v) for u in steps for v in steps if u + v < 1]
    heights = [np.linalg.norm(i * a + j * b + k * c, axis=1) - radius for i, j, k in shares]
    outward, either = np.mean(heights, axis=0), np.mean(np.abs(heights), axis=0)
    chords = sum(((p - q) ** 2).sum(axis=1) for p, q in [(a, b), (b, c), (c, a)]) / 24 / radius
    areas = [np.average(each, weights=mesh.face_areas) for each in (outward, either, chords)]
    return np.linalg.norm(mesh.vertices, axis=1) - radius, *areas


def rectangle(low, high, height=0.0):
    """Return two triangles over [low, high] (x, y) at z = height, that face up."""
    (x0, y0), (x1, y1) = low, high
    vertices = np.array([(x0, y0, height), (x1, y0, height), (x1, y1, height), (x0, y1, height)])
    return bp.Mesh(vertices, np.array([(0, 1, 2), (0, 2, 3)]))


def joined(*meshes):
    """Return the meshes as one, without merging anything."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return bp.Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]),
    )


def rays(rig):
    """Return where each camera's rays begin and lead, with z = 1 in its own frame, (H, W, 3)."""
    column, row = np.meshgrid(np.arange(rig.width) + 0.5, np.arange(rig.height) + 0.5)
    pixels = np.stack([column, row], axis=-1)
    for camera in rig:
        origin = camera.unproject(pixels, np.zeros_like(column))
        yield origin, camera.unproject(pixels, np.ones_like(column)) - origin


def cast(mesh, rig):
    """Return the depth maps of a mesh of few triangles: each is tried against every ray."""
    depth = np.full((len(rig), rig.height, rig.width), np.inf)
    for k, (origin, direction) in enumerate(rays(rig)):
        for a, b, c in mesh.triangles:
            normal = np.cross(b - a, c - a)
            with np.errstate(divide="ignore", invalid="ignore"):
                distance = ((a - origin) @ normal) / (direction @ normal)
            distance[~np.isfinite(distance)] = -1  # the ray runs along the triangle
            hit = origin + distance[..., None] * direction
            # Inside if on the same side of all three edges; a hair beyond them too, so that no ray
            # slips between two triangles.
            normal = normal / np.linalg.norm(normal)
            inside = distance > 0
            for start, end in ((a, b), (b, c), (c, a)):
                inside &= np.cross(end - start, hit - start) @ normal > -1e-9
            depth[k] = np.where(inside & (distance < depth[k]), distance, depth[k])
    return bp.ViewSet(depth, rig)


def sphere_views(radius, rig):
    """Return the depth maps of a sphere about the origin."""
    depth = []
    for origin, direction in rays(rig):
        a = (direction**2).sum(axis=-1)
        b = (direction * origin).sum(axis=-1)
        root = b**2 - a * ((origin**2).sum(axis=-1) - radius**2)
        depth.append(np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf))
    return bp.ViewSet(np.stack(depth), rig)


def painted(views, color_of, nothing=(255, 0, 255)):
    """Return the views with the colours that `color_of` gives points of the world."""
    colors = np.empty((*views.depth.shape, 3), np.uint8)
    row, column = np.indices(views.depth.shape[1:])
    centres = np.stack([column, row], axis=-1) + 0.5
    for k, (camera, depth) in enumerate(zip(views.rig, views.depth, strict=True)):
        hit = np.isfinite(depth)
        seen = camera.unproject(centres[hit], depth[hit])
        colors[k], colors[k][hit] = nothing, np.rint(color_of(seen))
    return replace(views, colors=colors)
