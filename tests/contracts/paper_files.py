"""The paper's files, written independently of the package, for tests of those who read them."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from PIL import Image

import backproject as bp

SIZE = 24
RIG = bp.Rig.dodecahedron(size=SIZE)


def ball(radius=0.4, rig=RIG):
    """Views of a ball, each seen from another side of a shift: no two are alike."""
    rows, columns = np.mgrid[: rig.height, : rig.width] + 0.5
    depth = np.full((len(rig), rig.height, rig.width), np.inf, np.float32)
    for k in range(len(rig)):
        away = np.hypot(rows - rig.height / 2, columns - rig.width / 2 - k / 10)
        inside = away < radius * rig.height
        depth[k, inside] = (1.1 + k / 50 + 0.3 * away / rig.height)[inside]
    return bp.ViewSet(depth, rig)


def white(depth):
    """Inverted depth from 0 to 1; 0 is background."""
    return 2 - np.where(np.isfinite(depth), depth.astype(np.float64), 2)


def in_bytes(depth):
    return np.rint(255 * white(depth)).astype(np.uint8)


def save(pixels, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def save_rows(depth, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = white(depth).tolist()
    path.write_text("".join(" ".join(map(repr, row)) + "\n" for row in rows))


def write_folder(views, folder, model="model_7", suffix=".png", *, three=False, skip=()):
    folder.mkdir(parents=True, exist_ok=True)
    for k, depth in enumerate(views.depth):
        file = folder / f"{model}_Cam_{k}{suffix}"
        if k in skip:
            continue
        if suffix == ".txt":
            save_rows(depth, file)
        else:
            pixels = in_bytes(depth)
            save(np.dstack([pixels] * 3) if three else pixels, file)
    return folder


def write_sheets(models, folder, columns=2, padded=1):
    """A sheet for each view, of a cell for each of some view sets, and black ones after them."""
    rows = -(-(len(models) + padded) // columns)
    side = models[0].rig.height
    for k in range(len(models[0])):
        sheet = np.zeros((rows * side, columns * side), np.uint8)
        for place, views in enumerate(models):
            row, column = divmod(place, columns)
            at = np.s_[row * side : (row + 1) * side, column * side : (column + 1) * side]
            sheet[at] = in_bytes(views.depth[k])
        save(sheet, folder / f"VP-{k}.png")
    return folder


def one_sheet(views, columns):
    """All views of one model, row by row."""
    cells = [in_bytes(depth) for depth in views.depth]
    rows = [np.hstack(cells[k : k + columns]) for k in range(0, len(cells), columns)]
    return np.vstack(rows)


def zipped(folder, file, prefix=""):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                archive.write(each, prefix + each.relative_to(folder).as_posix())
    return file


def jpeg(pixels, quality):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=quality)
    return content.getvalue()
