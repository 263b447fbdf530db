"""A nerfstudio folder: transforms.json, and depth as 16-bit images in millimetres.

Run `python examples/04_nerfstudio.py FOLDER`; without a folder it writes to `out`.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import backproject as bp
from backproject.report.pictures import side_by_side

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
folder = out / "nerfstudio"
(folder / "depth").mkdir(parents=True, exist_ok=True)

# such a folder, made of the headphones; yours is there already
mesh = bp.Mesh.load(Path(__file__).parent / "data" / "cc0_headphones_ngons.obj")
made = bp.render(bp.normalize(mesh).mesh, bp.Rig.fibonacci(24, size=160))
frames = []
for k, (depth, pose) in enumerate(zip(made.depth, made.rig.world_from_camera, strict=True)):
    millimetres = np.where(np.isfinite(depth), np.rint(1000 * depth), 0).astype(np.uint16)
    Image.fromarray(millimetres).save(folder / "depth" / f"{k}.png")
    opengl = (pose * [1, -1, -1, 1]).tolist()  # nerfstudio's cameras have y up and z back
    frames.append({"depth_file_path": f"depth/{k}.png", "transform_matrix": opengl})
cameras = {"w": 160, "h": 160, "fl_x": made.rig.intrinsics[0, 0, 0], "frames": frames}
(folder / "transforms.json").write_text(json.dumps(cameras))

views = bp.ViewSet.load(folder)
for each in views.assumptions:
    print(f"{each.about}: {each.taken} ({each.because})")
recon = bp.fuse(views, resolution=128)
side_by_side(bp.normalize(mesh).mesh, recon, out / "04_shapes.png", title="Out of nerfstudio")
