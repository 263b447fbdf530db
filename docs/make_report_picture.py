"""Make docs/images/report.png, the top of a report: `python docs/make_report_picture.py`.

The round trip of the headphones, in Chromium, which playwright drives (extra `dev`).
"""

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

import backproject as bp
from backproject.report.making import Making

ROOT = Path(__file__).resolve().parents[1]
MESH = ROOT / "examples" / "data" / "cc0_headphones_ngons.obj"
PICTURE = ROOT / "docs" / "images" / "report.png"
SIZE = {"width": 1240, "height": 1200}


def main() -> None:
    """Write the report, open it, and take its picture."""
    result = bp.roundtrip(bp.Mesh.load(MESH))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        bp.write_report(
            page,
            result.reconstruction,
            truth=result.truth,
            views=result.views,
            title=MESH.stem,
            measured=result.measured,
            making=Making(seconds=result.seconds),
        )
        shot = taken(page)
    with Image.open(io.BytesIO(shot)) as image:
        image.convert("RGB").save(PICTURE, optimize=True)
    told = f"wrote {PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size / 1000:.0f} KB"
    print(told)  # noqa: T201


def taken(path: Path) -> bytes:
    """Return a picture of the page, the right view coloured by error."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        page = browser.new_page(viewport=SIZE)
        page.goto(path.as_uri())
        page.wait_for_selector("body.drawn", timeout=120_000)
        page.locator(".panel:nth-child(2) input[value=error] + span").click()
        page.evaluate("scrollTo(0, 0)")
        wait_until_still(page)
        shot = page.screenshot()
        browser.close()
    return shot


def wait_until_still(page: Page) -> None:
    """Wait until two pictures in a row are the same."""
    last = b""
    while (shot := page.screenshot()) != last:
        last = shot
        page.wait_for_timeout(500)


if __name__ == "__main__":
    main()
