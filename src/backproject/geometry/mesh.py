"""A triangle mesh."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproject.errors import InputError
from backproject.geometry.colors import Colors, as_bytes, checked_colors
from backproject.geometry.transform import Similarity


@dataclass(frozen=True)
class Mesh:
    """Triangles over shared vertices, counter-clockwise seen from outside.

    `vertices` (V, 3) float64 in scene units; `faces` (F, 3) int32 indices into them; `support` (V,)
    int32, of a fused mesh: how many views saw the surface there, 0 where it is only inferred;
    `colors` (V, 3) uint8, red, green and blue of each vertex, or None.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    support: NDArray[np.int32] | None = None
    colors: Colors | None = None

    def __post_init__(self) -> None:
        vertices = np.ascontiguousarray(self.vertices, np.float64)
        faces = np.asarray(self.faces)
        if vertices.ndim != 2 or vertices.shape[1] != 3:
            raise InputError(f"mesh vertices: got shape {vertices.shape}, expected (V, 3)")
        if faces.ndim != 2 or faces.shape[1] != 3 or not np.issubdtype(faces.dtype, np.integer):
            raise InputError(
                f"mesh faces: got shape {faces.shape} of {faces.dtype}, expected (F, 3) of integers"
            )
        if faces.size and (faces.min() < 0 or faces.max() >= len(vertices)):
            raise InputError(
                f"mesh faces: got indices from {faces.min()} to {faces.max()},"
                f" expected 0 to {len(vertices) - 1}"
            )
        if not np.isfinite(
            vertices
        ).all():  # what is nearly never so is looked at more closely then
            bad = int((~np.isfinite(vertices).all(axis=1)).sum())
            raise InputError(
                f"mesh vertices: {bad} of {len(vertices)} hold nan or infinite numbers"
            )
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", np.ascontiguousarray(faces, np.int32))
        if self.support is not None:
            support = np.ascontiguousarray(self.support, np.int32)
            if support.shape != (len(vertices),):
                raise InputError(
                    f"mesh support: got shape {support.shape}, expected ({len(vertices)},)"
                )
            object.__setattr__(self, "support", support)
        if self.colors is not None:
            colors = checked_colors(self.colors, (len(vertices),), "mesh colors")
            object.__setattr__(self, "colors", colors)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Mesh:
        """Return the mesh of an OBJ, PLY, STL, OFF or GLB file, polygons ear-clipped; see
        `io.meshes`.
        """
        from backproject.io.meshes import read_mesh

        return read_mesh(path)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a .ply, .obj, .stl, .glb or .off file, by suffix; see `io.meshes`."""
        from backproject.io.meshes import write_mesh

        write_mesh(self, path)

    @classmethod
    def from_trimesh(cls, mesh: Any) -> Mesh:
        """Return the mesh of a `trimesh.Trimesh`, or all of a `trimesh.Scene` in its world, with
        colours if its vertices have them.

        Raises:
            InputError: another type, or a mesh that cannot be.

        """
        if hasattr(mesh, "geometry") and hasattr(mesh, "to_mesh"):
            mesh = mesh.to_mesh()
        if not hasattr(mesh, "faces") or not hasattr(mesh, "vertices"):
            raise InputError(f"mesh: got {type(mesh).__name__}, expected a trimesh.Trimesh")
        support = getattr(mesh, "vertex_attributes", {}).get("support")
        return cls(
            np.array(mesh.vertices, np.float64),
            np.array(mesh.faces),
            None if support is None else np.array(support, np.int32),
            vertex_colors(mesh),
        )

    def to_trimesh(self) -> Any:
        """Return a `trimesh.Trimesh` with the same vertices and faces, in their order, and colours;
        `support` becomes a vertex attribute.
        """
        import trimesh

        attributes: dict[str, Any] = {}
        if self.support is not None:
            attributes["support"] = self.support.astype(np.uint32)  # GLB holds no int32
        return trimesh.Trimesh(
            self.vertices.copy(),
            self.faces.copy(),
            vertex_attributes=attributes,
            vertex_colors=self.colors,
            process=False,
        )

    @classmethod
    def from_open3d(cls, mesh: Any) -> Mesh:
        """Return the mesh of an `open3d.geometry.TriangleMesh`, or of Open3D's tensor one, with
        colours if its vertices have them.

        Raises:
            InputError: another type, or a mesh that cannot be.

        """
        if hasattr(mesh, "to_legacy"):
            mesh = mesh.to_legacy()
        if not hasattr(mesh, "triangles") or not hasattr(mesh, "vertices"):
            raise InputError(f"mesh: got {type(mesh).__name__}, expected an Open3D TriangleMesh")
        faces = np.array(mesh.triangles, np.int32).reshape(-1, 3)
        colors = as_bytes(255 * np.asarray(mesh.vertex_colors)) if mesh.vertex_colors else None
        return cls(np.array(mesh.vertices, np.float64).reshape(-1, 3), faces, colors=colors)

    def to_open3d(self) -> Any:
        """Return an `open3d.geometry.TriangleMesh` with the same vertices and faces, in their
        order, and colours; `support` is lost, which it cannot hold.
        """
        import open3d

        mesh = open3d.geometry.TriangleMesh(
            open3d.utility.Vector3dVector(self.vertices),
            open3d.utility.Vector3iVector(self.faces),
        )
        if self.colors is not None:
            mesh.vertex_colors = open3d.utility.Vector3dVector(self.colors / 255)
        return mesh

    @property
    def triangles(self) -> NDArray[np.float64]:
        """The corners of every face, (F, 3, 3)."""
        return self.vertices.take(self.faces, axis=0)  # a fourth of the time of an index

    @cached_property
    def area_vectors(self) -> NDArray[np.float64]:
        """The normal of every face times its area, (F, 3)."""
        a, b, c = (self.vertices.take(self.faces[:, k], axis=0).T.copy() for k in range(3))
        b -= a
        c -= a
        # written out: a third of the time of np.cross
        x, y, z = b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0]
        return np.stack([x, y, z], axis=1) / 2

    @cached_property
    def face_areas(self) -> NDArray[np.float64]:
        """The area of every face, (F,)."""
        return np.asarray(np.sqrt(np.einsum("fk,fk->f", self.area_vectors, self.area_vectors)))

    @cached_property
    def face_normals(self) -> NDArray[np.float64]:
        """The unit normal of every face, (F, 3); zero where the face has no area."""
        areas = self.face_areas[:, None]
        normals = np.zeros_like(self.area_vectors)
        np.divide(self.area_vectors, areas, out=normals, where=areas > 0)
        return normals

    @cached_property
    def centroid(self) -> NDArray[np.float64]:
        """The area-weighted mean of the faces' centres, (3,): the surface's centre, whatever its
        tessellation.
        """
        total = float(self.face_areas.sum())
        if not total > 0:
            raise InputError(f"mesh of {len(self.faces)} faces: no area, so it has no centre")
        corners = self.face_areas @ self.triangles.reshape(-1, 9)
        return np.asarray(corners.reshape(3, 3).mean(axis=0) / total)

    @cached_property
    def radius(self) -> float:
        """The radius of the sphere about the centroid that holds every face with area."""
        used = np.zeros(len(self.vertices), np.bool_)
        used[self.faces[self.face_areas > 0]] = True
        return float(np.linalg.norm(self.vertices[used] - self.centroid, axis=1).max())

    @cached_property
    def is_watertight(self) -> bool:
        """Whether every edge joins exactly two faces that run along it in opposite directions."""
        from scipy.sparse import csr_array  # takes long to import

        if len(self.faces) == 0 or len(self.faces) % 2:
            return False
        start, end = self.faces.ravel(), self.faces[:, [1, 2, 0]].ravel()
        forth, back = 1, 1 << 32  # how often an edge is run along each way, in one sum
        ways = csr_array(
            (np.where(start < end, forth, back), (np.minimum(start, end), np.maximum(start, end))),
            shape=(len(self.vertices), len(self.vertices)),
        )
        ways.sum_duplicates()
        return bool((ways.data == forth + back).all())

    @property
    def seen_faces(self) -> NDArray[np.bool_]:
        """Which faces (F,) some view saw: those whose three corners have support. All of them if
        the mesh does not tell (`support` is None).
        """
        if self.support is None:
            return np.ones(len(self.faces), np.bool_)
        return np.asarray((self.support[self.faces] > 0).all(axis=1))

    def transformed(self, new_from_old: Similarity) -> Mesh:
        """Return the mesh in another frame."""
        return Mesh(new_from_old.apply(self.vertices), self.faces, self.support, self.colors)


def vertex_colors(mesh: Any) -> Colors | None:
    """Return the colours (V, 3) that the vertices of a `trimesh.Trimesh` have, without alpha, or
    None: also where it has a texture, or colours of faces.
    """
    visual: Any = getattr(mesh, "visual", None)
    if getattr(visual, "kind", None) != "vertex":
        return None
    return np.array(visual.vertex_colors[:, :3], np.uint8)


@dataclass(frozen=True)
class NormalizedMesh:
    """A `mesh` in the unit frame, and `world_from_unit`, the way back to where it came from."""

    mesh: Mesh
    world_from_unit: Similarity

    def restore(self, mesh: Mesh) -> Mesh:
        """Return a mesh of the unit frame, a reconstruction say, in the original's coordinates."""
        return mesh.transformed(self.world_from_unit)


def normalize(mesh: Mesh, *, radius: float = 0.5) -> NormalizedMesh:
    """Return `mesh` with its area-weighted centroid at the origin and inside a sphere of `radius`
    about it.

    The protocol of Soltani et al. (CVPR 2017): the depth window of cameras at 1.5 holds points
    within 0.5 of the centre. Faces without area and vertices of no face count for neither centre
    nor size.

    Raises:
        InputError: the mesh has no area.

    """
    world_from_unit = Similarity(mesh.radius / radius, translation=mesh.centroid)
    return NormalizedMesh(mesh.transformed(world_from_unit.inverse()), world_from_unit)
