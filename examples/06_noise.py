"""Noisy depth: how noisy is estimated from how far the views disagree, and smoothed.

Run `python examples/06_noise.py FOLDER`; without a folder it writes to `out`.
"""

import sys
from pathlib import Path

import numpy as np

import backproject as bp
from backproject.report.pictures import error_map

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
out.mkdir(parents=True, exist_ok=True)

mesh = bp.Mesh.load(Path(__file__).parent / "data" / "cc0_headphones_ngons.obj")
truth = bp.normalize(mesh).mesh
exact = bp.render(truth, bp.Rig.dodecahedron(size=160))
pixel = 1.5 / exact.rig.intrinsics[0, 0, 0]  # its width on the shape, in scene units
noise = np.random.default_rng(0).normal(scale=pixel / 2, size=exact.depth.shape)
noisy = bp.ViewSet(exact.depth + noise, exact.rig)  # inf, empty, stays inf

taken_as_exact = bp.fuse(noisy, resolution=128, noise=0)
smoothed = bp.fuse(noisy, resolution=128)
for name, recon in {"taken as exact": taken_as_exact, "noise estimated": smoothed}.items():
    scores = bp.compare(recon, truth, views=exact)
    print(f"{name}: mean error {scores.accuracy:.2e}, normals {scores.normal_consistency:.3f}")
error_map(smoothed, truth, out / "06_error.png", title="Out of noise of half a pixel")
