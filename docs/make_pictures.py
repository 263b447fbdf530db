"""Make the README's picture: `python docs/make_pictures.py`; with the folder of the paper's lamp
behind it `docs/images/lamp.png` too, whose pixels are not ours to publish.

The round trip of the headphones in one strip: depth maps, the cloud coloured by view, the mesh,
and its distance to the truth.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, hsv_to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

import backproject as bp
from backproject.geometry.rig import Camera
from backproject.metrics.compare import distances_to
from backproject.report.pictures import DEPTH_COLORS, ERROR_COLORS, ERRORS, INK, QUIET
from backproject.report.shading import camera_around, shaded, visible_surface

ROOT = Path(__file__).resolve().parents[1]
MESH = ROOT / "examples" / "data" / "cc0_headphones_ngons.obj"
PICTURE = ROOT / "docs" / "images" / "strip.png"
LAMP_PICTURE = PICTURE.with_name("lamp.png")
FROM = (0.75, 0.35, 0.8)
"""From where the shape is shown."""
PANEL = 480
"""Side of the image that the shape is drawn in, in pixels, before it is cropped to the shape."""
SHOWN = 0.16
"""Share of the points that is shown: with all of them the colours would blur into grey."""
Pixels = NDArray[np.float64]


def main() -> None:
    """Do the round trip and draw it."""
    result = bp.roundtrip(bp.Mesh.load(MESH))
    truth, mesh = result.truth, result.reconstruction
    rig = camera_around(truth, FROM, PANEL)
    crop = box_around(shaded(mesh, rig))
    panels = {
        f"{len(result.views)} depth maps": depth_maps(result.views),
        f"{len(result.cloud):,} points, coloured by view": points(result.cloud, rig[0])[crop],
        f"closed mesh, {len(mesh.faces):,} triangles": shaded(mesh, rig)[crop],
        "its distance to the truth, in diameters": errors(mesh, truth, rig)[crop],
    }
    draw(panels)
    print(f"wrote {PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size / 1000:.0f} KB")  # noqa: T201


def lamp(folder: Path) -> None:
    """Draw the mesh that the depth maps of the paper's lamp give."""
    views = bp.ViewSet.load(folder)
    mesh = bp.fuse(views, resolution=64)
    image = shaded(mesh, camera_around(mesh, FROM, PANEL))
    Image.fromarray((image[box_around(image)] * 255).astype(np.uint8)).save(LAMP_PICTURE)
    print(f"wrote {LAMP_PICTURE.relative_to(ROOT)}")  # noqa: T201


def box_around(image: Pixels, margin: int = 12) -> tuple[slice, slice]:
    """Return the rows and columns of what is not white, and a margin."""
    drawn = (image < 0.99).any(axis=2)
    rows, columns = (np.flatnonzero(drawn.any(axis=axis)) for axis in (1, 0))
    return (
        slice(rows[0] - margin, rows[-1] + margin),
        slice(columns[0] - margin, columns[-1] + margin),
    )


def depth_maps(views: bp.ViewSet, columns: int = 4) -> Pixels:
    """Return the depth maps as one image: near is bright, empty white."""
    depth = views.depth
    middle = slice(depth.shape[1] // 10, -(depth.shape[1] // 10))
    depth = depth[:, middle, middle]
    hit = np.isfinite(depth)
    near, far = depth[hit].min(), depth[hit].max()
    image = np.ones((*depth.shape, 3))
    image[hit] = DEPTH_COLORS((depth[hit] - near) / (far - near))[:, :3]
    rows = len(depth) // columns
    grid = image[: rows * columns].reshape(rows, columns, *image.shape[1:])
    return np.concatenate(list(np.concatenate(list(np.moveaxis(grid, 1, 0)), axis=2)), axis=0)


def points(cloud: bp.PointCloud, camera: Camera, dot: int = 3) -> Pixels:
    """Return some points as `camera` sees them, each in its view's colour, the nearest on top."""
    some = np.random.default_rng(0).random(len(cloud)) < SHOWN
    toward = camera.center_world - cloud.points
    facing = np.einsum("pk,pk->p", cloud.normals, toward) / np.linalg.norm(toward, axis=1)
    cloud, facing = cloud.subset(some & (facing > 0)), facing[some & (facing > 0)]
    pixel, depth = camera.project(cloud.points)
    hue = np.arange(20) * 0.618 % 1
    palette = hsv_to_rgb(np.stack([hue, np.full(20, 0.65), np.full(20, 0.9)], axis=1))
    colors = palette[cloud.view_index] * (0.5 + 0.5 * facing[:, None])
    order = np.argsort(-depth)
    column, row = np.floor(pixel[order]).astype(int).T
    image = np.ones((camera.height, camera.width, 3))
    for k in range(dot * dot):
        image[row + k // dot, column + k % dot] = colors[order]
    return image


def errors(mesh: bp.Mesh, truth: bp.Mesh, rig: bp.Rig) -> Pixels:
    """Return the mesh coloured by its exact distance to the truth."""
    surface = visible_surface(mesh, rig)
    distance = distances_to(truth, surface.points) / (2 * truth.radius)
    return surface.painted(ERROR_COLORS(LogNorm(*ERRORS, clip=True)(distance))[:, :3], contrast=0.5)


def draw(panels: dict[str, Pixels]) -> None:
    """Write the panels side by side, with a scale for the last."""
    rows, columns = next(reversed(panels.values())).shape[:2]
    step, foot = columns + 36, 44
    width, height = len(panels) * step + 84, rows + foot
    figure = Figure((width / 100, height / 100), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    for k, (title, image) in enumerate(panels.items()):
        box = (k * step / width, foot / height, columns / width, rows / height)
        axes = figure.add_axes(box)
        axes.imshow(image, interpolation="antialiased")
        axes.set_axis_off()
        middle = (k * step + columns / 2) / width
        figure.text(middle, 14 / height, title, fontsize=14, color=INK, ha="center")
    scale = figure.add_axes((1 - 100 / width, 0.3, 14 / width, 0.5))
    colors = ScalarMappable(LogNorm(*ERRORS), ERROR_COLORS)
    figure.colorbar(colors, cax=scale).outline.set_visible(False)
    scale.tick_params(labelsize=13, colors=QUIET, length=3)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=100)
    with Image.open(PICTURE) as full:
        pixels = np.asarray(full.convert("RGB")).astype(int)
    # steps of 4 are not seen and halve the file
    coarse = np.minimum((pixels + 2) // 4 * 4, 255).astype(np.uint8)
    Image.fromarray(coarse).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
    for folder in sys.argv[1:]:
        lamp(Path(folder))
