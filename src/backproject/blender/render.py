# SPDX-License-Identifier: GPL-3.0-or-later
"""Cycles as a renderer: the same depth maps as the embedded rasteriser's.

The depth pass of one sample a pixel, taken at its centre, goes through a file: without a window
Blender hands out no pixels. All of it happens in a scene of its own, which links nothing but what
is to be seen and is gone afterwards.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from backproject.blender.cameras import new_camera, place, set_image
from backproject.blender.meshes import add_mesh
from backproject.blender.scenes import NAME, alone
from backproject.errors import InputError, ReconstructionError
from backproject.geometry.mesh import Mesh
from backproject.geometry.rig import Rig
from backproject.geometry.transform import Similarity
from backproject.geometry.views import ViewSet
from backproject.progress import Progress, silent

NEAREST, FARTHEST = 1e-6, 1e9
"""The clip range, in scene units: Blender's nearest, and short of the 1e10 of its background."""
FILTER_WIDTH = 0.01
"""The narrowest pixel filter of Cycles, in pixels. The sample lies off the pixel's centre by a
share of it: 1e-5 pixels with this one, which is rounding, and 5e-4 with the usual one.
"""
COMPOSITOR_IS_A_GROUP = (5, 0, 0)
"""Since this version a scene's compositor is a node group."""


def render(mesh: Mesh, rig: Rig, *, threads: int = 0, progress: Progress = silent) -> ViewSet:
    """Return what the cameras of `rig` see of `mesh`, as `rendering.render` does, but by Cycles.

    Blender works in single precision, so mesh and cameras are moved to the unit frame first and the
    depth back: neither size nor place of the mesh matter.

    Raises:
        InputError: a mesh without faces, or cameras that Blender cannot have.

    """
    if len(mesh.faces) == 0:
        raise InputError(
            f"mesh of {len(mesh.vertices)} vertices: no faces, so there is nothing to render"
        )
    world_from_unit = _unit_frame(mesh)
    unit_from_world = world_from_unit.inverse()
    moved = rig.transformed(unit_from_world)
    with _temporary_object(mesh.transformed(unit_from_world)) as target:
        views = render_objects(
            [target], moved, bpy.context.scene, threads=threads, progress=progress
        )
    return ViewSet(views.depth * np.float32(world_from_unit.scale), rig)


def render_objects(
    objects: Sequence[Any], rig: Rig, scene: Any, *, threads: int = 0, progress: Progress = silent
) -> ViewSet:
    """Return what the cameras of `rig`, in world coordinates, see of some objects of `scene`: what
    a render of it would show of them at its current frame, modifiers, instances and all.

    Raises:
        InputError: no objects, hidden ones, or cameras that Blender cannot have.

    """
    depth = np.empty((len(rig), rig.height, rig.width), np.float32)
    for k, view in enumerate(depth_maps(objects, rig, scene, threads=threads)):
        depth[k] = view
        progress("render", (k + 1) / len(rig))
    return ViewSet(depth, rig)


def depth_maps(
    objects: Sequence[Any], rig: Rig, scene: Any, *, threads: int = 0
) -> Iterator[NDArray[np.float32]]:
    """Yield the planar depth (H, W) of one view of `rig` after the other, inf where nothing is hit:
    `render_objects` in steps. Closing the iterator tidies up.

    Raises:
        InputError: as `render_objects` does, before the first view.

    """
    _check_objects(objects)
    with (
        TemporaryDirectory(prefix="backproject-") as folder,
        _studio(objects, scene, folder) as studio,
    ):
        studio.render.threads_mode = "FIXED" if threads else "AUTO"
        studio.render.threads = threads or 1
        for camera in rig:
            set_image(studio, camera)
            place(studio.camera, camera)
            yield _rendered(studio, Path(folder))


def _rendered(studio: Any, folder: Path) -> NDArray[np.float32]:
    """Return the depth (H, W) that the camera of `studio` sees."""
    try:
        with _interrupts_held():
            bpy.ops.render.render(scene=studio.name)
    except RuntimeError as error:  # Blender's word for a render that cannot start or end
        reason = " ".join(str(error).removeprefix("Error: ").split())
        raise ReconstructionError(f"Blender's renderer: {reason}") from error
    files = list(folder.iterdir())
    if len(files) != 1:
        raise ReconstructionError(
            f"Blender's renderer left {len(files)} depth files, expected 1: was it stopped?"
        )
    try:
        depth = _read_exr(files[0])
    finally:
        files[0].unlink()
    return np.where(depth < FARTHEST, depth, np.float32(np.inf))


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hear of an interrupt when the block is over: Blender, which calls its engine through Python,
    would print it and go on.
    """
    heard: list[tuple[int, FrameType | None]] = []
    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if callable(handler):
                handlers[number] = handler
    try:
        for held in handlers:
            signal.signal(held, lambda *given: heard.append(given))
        yield
    finally:
        for held, handler in handlers.items():
            signal.signal(held, handler)
    for given in heard[:1]:
        handlers[given[0]](*given)


def _read_exr(path: Path) -> NDArray[np.float32]:
    """Return the first channel (H, W) of an image file, rows from the top, by Blender's own reader:
    inside Blender there may be no other.
    """
    image = bpy.data.images.load(str(path))
    try:
        image.colorspace_settings.is_data = True
        width, height = image.size
        pixels = np.empty(width * height * image.channels, np.float32)
        image.pixels.foreach_get(pixels)
        channels = image.channels
    finally:
        bpy.data.images.remove(image)
    return np.ascontiguousarray(pixels.reshape(height, width, channels)[::-1, :, 0])


@contextmanager
def _studio(objects: Sequence[Any], scene: Any, folder: str) -> Iterator[Any]:
    """Yield a scene with the objects and a camera, whose renders leave depth in `folder`. Nothing
    of it stays in Blender's data.
    """
    result_was_there = "Render Result" in bpy.data.images
    camera, override = new_camera(NAME), bpy.data.materials.new(NAME)
    try:
        with alone(objects, scene) as studio:
            studio.collection.objects.link(camera)
            studio.camera = camera
            camera.data.clip_start, camera.data.clip_end = NEAREST, FARTHEST
            _trace_depth(studio, override)
            with _depth_written_to(folder, studio):
                yield studio
    finally:
        bpy.data.materials.remove(override)
        bpy.data.cameras.remove(camera.data)  # and the object with it
        if not result_was_there and "Render Result" in bpy.data.images:
            bpy.data.images.remove(bpy.data.images["Render Result"])


def _trace_depth(studio: Any, override: Any) -> None:
    """Let Cycles take one sample at each pixel's centre, and ask only where it hits."""
    render, layer = studio.render, studio.view_layers[0]
    try:
        render.engine = "CYCLES"
    except TypeError:  # an enum without it
        raise InputError(
            "renderer: Cycles is not there, expected it: enable the add-on Cycles Render Engine"
        ) from None
    render.use_compositing, render.use_sequencer = True, False
    render.use_persistent_data = True  # between views only the camera moves
    cycles = studio.cycles
    cycles.samples, cycles.max_bounces = 1, 0
    cycles.use_denoising = cycles.use_adaptive_sampling = False
    cycles.pixel_filter_type, cycles.filter_width = "BLACKMAN_HARRIS", FILTER_WIDTH
    layer.use_pass_z = True
    layer.pass_alpha_threshold = 0
    layer.material_override = override  # what is see-through or displaced when shaded hides too


@contextmanager
def _depth_written_to(folder: str, studio: Any) -> Iterator[None]:
    """Let the compositor of `studio` write the depth of what is rendered to a file in `folder`."""
    if bpy.app.version < COMPOSITOR_IS_A_GROUP:  # the tree is a part of its scene, and goes with it
        studio.use_nodes = True
        studio.node_tree.nodes.clear()
        file = studio.node_tree.nodes.new("CompositorNodeOutputFile")
        file.base_path = folder
        file.file_slots[0].path = "depth"
        _feed(file, studio.node_tree, studio)
        yield
        return
    group = bpy.data.node_groups.new(NAME, "CompositorNodeTree")
    try:
        studio.compositing_node_group = group
        file = group.nodes.new("CompositorNodeOutputFile")
        file.directory, file.file_name = folder, ""
        file.format.media_type = "IMAGE"
        file.file_output_items.new("FLOAT", "depth")
        _feed(file, group, studio)
        yield
    finally:
        bpy.data.node_groups.remove(group)


def _feed(file: Any, tree: Any, studio: Any) -> None:
    """Lead the depth of `studio` to the node that writes files, in single precision."""
    file.format.file_format, file.format.color_depth = "OPEN_EXR", "32"
    with bpy.context.temp_override(scene=studio):  # a new node takes the context's scene
        layers = tree.nodes.new("CompositorNodeRLayers")
    layers.scene = studio
    tree.links.new(layers.outputs["Depth"], file.inputs[0])


def _check_objects(objects: Sequence[Any]) -> None:
    if not objects:
        raise InputError("objects: got none, expected at least one to render")
    for each in objects:
        if each.hide_render:
            raise InputError(
                f"object {each.name!r}: is hidden in renders, expected one that is not:"
                " click its camera icon in the outliner"
            )


def _unit_frame(mesh: Mesh) -> Similarity:
    """Return world_from_unit, whose unit frame has the mesh's box about the origin, with a diagonal
    of 1.
    """
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    return Similarity(float(np.linalg.norm(high - low)) or 1.0, translation=(low + high) / 2)


@contextmanager
def _temporary_object(mesh: Mesh) -> Iterator[Any]:
    """Yield an object of `mesh` that is in no scene, and remove it."""
    collection = bpy.data.collections.new(NAME)
    target = add_mesh(NAME, mesh, collection)
    try:
        yield target
    finally:
        bpy.data.meshes.remove(target.data)  # and the object with it
        bpy.data.collections.remove(collection)
