"""Make the pictures of the examples' page: `python docs/make_example_pictures.py`, with Open3D; or
those of some examples alone, by their numbers: `python docs/make_example_pictures.py 01 05`.

Each example runs as it stands; its picture is made narrower, and its colours coarser than
anybody sees.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "images" / "examples"
WIDTH = 800
"""Of a picture on the page, in pixels."""
STEP = 4
"""Of a colour, of 255: half the bytes."""


def main() -> None:
    """Run the examples and keep their pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    asked = sys.argv[1:]
    for script in sorted((ROOT / "examples").glob("[0-9]*.py")):
        if asked and script.stem[:2] not in asked:
            continue
        with TemporaryDirectory() as folder:
            subprocess.run([sys.executable, script, folder], check=True)
            (picture,) = Path(folder).glob(f"{script.stem[:2]}_*.png")
            with Image.open(picture) as image:
                height = image.height * WIDTH // image.width
                pixels = np.asarray(image.convert("RGB").resize((WIDTH, height))).astype(int)
        coarse = np.minimum((pixels + STEP // 2) // STEP * STEP, 255).astype(np.uint8)
        Image.fromarray(coarse).save(PICTURES / picture.name, optimize=True)


if __name__ == "__main__":
    main()
