"""The paper's files: 8-bit images by name, white is near, black is background.

Run `python examples/05_paper.py FOLDER`; without a folder it writes to `out`.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import backproject as bp
from backproject.report.pictures import error_map

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
folder = out / "headphones_depth_rgb"
folder.mkdir(parents=True, exist_ok=True)

# such a folder, made of the headphones; yours is there already
mesh = bp.Mesh.load(Path(__file__).parent / "data" / "cc0_headphones_ngons.obj")
truth = bp.normalize(mesh).mesh
for k, depth in enumerate(bp.render(truth, bp.Rig.dodecahedron()).depth):
    white_is_near = np.rint(255 * (2 - np.where(np.isfinite(depth), depth, 2)))
    Image.fromarray(white_is_near.astype(np.uint8)).save(folder / f"model_1_Cam_{k}.png")

views = bp.ViewSet.load(folder)  # 43 degrees, from 1.5, in the order of numbers, not of text
for each in views.assumptions:
    print(f"{each.about}: {each.taken} ({each.because})")
recon = bp.fuse(views, resolution=128)
print(f"a step of depth is {views.step:.4f}; the mean error is", end=" ")
print(f"{bp.compare(recon, truth, views=views).accuracy_seen:.4f}")
error_map(recon, truth, out / "05_error.png", title="Out of 8 bits")
