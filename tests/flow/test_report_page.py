"""The report page, as a browser without network shows it."""

import io
import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from shapes import box, joined, sphere

import backproject as bp
from backproject.report.colors import ERRORS, INFERRED
from backproject.report.display import FRONT, Stage
from backproject.report.making import Making

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs chromium on the PATH: apt-get install chromium"
)
ARGUMENTS = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # draws without a GPU
HOSTILE = "<script>document.title = 'taken'</script> & \"quotes\""
RED = (210, 40, 30)
PAPER = 0.88
"""Brighter than this is the views' background."""


def shape():
    """A ball on a slab, which no symmetry maps to itself upside down."""
    slab = box()
    slab = bp.Mesh(slab.vertices * (2.0, 0.4, 1.2), slab.faces)
    ball = sphere(0.55, splits=3)
    return joined(slab, bp.Mesh(ball.vertices + np.array([0.3, 0.7, 0]), ball.faces))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page with all there is, one without truth, one of meshes alone, and one in red."""
    folder = tmp_path_factory.mktemp("pages")
    truth = shape()
    rig = bp.Rig.turntable(6, size=64)  # from above: what is below is inferred
    result = bp.roundtrip(truth, rig, resolution=48)
    command = f"backproject roundtrip {HOSTILE}"
    making = Making(command=command, settings={"<b>": HOSTILE}, seconds=result.seconds)
    mesh, views = result.reconstruction, result.views
    all_ = {"truth": truth, "views": views, "measured": result.measured, "making": making}
    bp.write_report(folder / "all.html", mesh, title=HOSTILE, **all_)
    bp.write_report(folder / "fused.html", mesh, views=views)
    red = replace(mesh, colors=np.full((len(mesh.vertices), 3), RED, np.uint8))
    bp.write_report(folder / "red.html", red)
    bp.write_report(folder / "meshes.html", bp.Mesh(mesh.vertices, mesh.faces), truth=truth)
    return folder


@pytest.fixture(scope="module")
def browser():
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *root])
        yield browser
        browser.close()


class Shown:
    """A page in the browser, and all that it said and asked for."""

    def __init__(self, browser, path, **options):
        options = {"viewport": {"width": 800, "height": 560}, "offline": True} | options
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.errors, self.asked = [], []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda told: told.type == "error" and self.errors.append(told.text))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def drawn(self):
        self.page.wait_for_selector("body.drawn", timeout=120_000)
        return self

    def choose(self, side, name):
        """Choose a surface, or switch points or cameras, in one of the two views."""
        self.page.locator(f".panel:nth-child({side + 1}) input[value={name}] + span").click()

    def view(self, side):
        """Return what a 3D view shows, (H, W, 3) from 0 to 1, when it stands still."""
        last = None
        for _ in range(40):
            self.page.wait_for_timeout(150)
            shot = self.page.locator(f"#plot-{side}").screenshot()
            if shot == last:
                break
            last = shot
        with Image.open(io.BytesIO(shot)) as image:
            return np.asarray(image.convert("RGB")) / 255

    def next_frames(self):
        """Wait until what was asked for is drawn: three frames."""
        self.page.evaluate(
            "() => new Promise((done) => { let left = 3; const next = () =>"
            " (left-- ? requestAnimationFrame(next) : done()); next(); })"
        )

    def drag(self, side, by):
        """Turn a view with the mouse, and wait until the page was told of the end of it, the other
        followed, if it should, and all of it was drawn.
        """
        self.page.evaluate(
            "(side) => { window.ended = false; document.getElementById(`plot-${side}`)"
            ".once('plotly_relayout', () => { window.ended = true; }); }",
            side,
        )
        place = self.page.locator(f"#plot-{side}").bounding_box()
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        mouse = self.page.mouse
        self.next_frames()
        mouse.move(x, y)
        mouse.down()
        for step in range(1, 6):  # the library turns once a frame, as far as the mouse is by then
            mouse.move(x + by * step / 5, y)
            self.next_frames()
        mouse.up()
        self.page.wait_for_function("window.ended")
        self.page.wait_for_function(
            "() => !document.getElementById('linked').checked || new Set([0, 1].map((side) =>"
            " JSON.stringify(document.getElementById(`plot-${side}`)._fullLayout.scene.camera.eye)"
            ")).size === 1"
        )
        self.next_frames()


@pytest.fixture
def shown(browser, pages):
    """Return a function that opens one of the pages; at the end none of them complained."""
    opened = []

    def show(name, **options):
        opened.append(Shown(browser, pages / f"{name}.html", **options))
        return opened[-1]

    yield show
    for each in opened:
        each.context.close()
        assert each.errors == []
        outside = [url for url in each.asked if not url.startswith(("data:", "blob:"))]
        assert len(outside) == 1  # the page itself
        assert outside[0].startswith("file:")


def covered(image):
    """Return where something is drawn, (H, W)."""
    return image.min(axis=-1) < PAPER


def alike(a, b):
    """Return the intersection of two masks over their union."""
    return (a & b).sum() / (a | b).sum()


def share_of(image, color, within=0.12):
    """Return the share of what is drawn whose hue is that of a colour, whatever the light."""
    pixels = image[covered(image)]
    hues = pixels / np.linalg.norm(pixels, axis=1, keepdims=True)
    wanted = np.asarray(color) / np.linalg.norm(color)
    return (np.linalg.norm(hues - wanted, axis=1) < within).mean()


@pytest.mark.parametrize("name", ["all", "fused", "meshes"])
def test_a_page_opens_offline_without_complaint_and_draws_the_mesh(shown, name):
    page = shown(name).drawn()
    for side in (0, 1):
        assert 0.05 < covered(page.view(side)).mean() < 0.6


def test_the_first_view_is_what_our_own_renderer_sees_from_there(shown):
    """The outline: the library's camera has half an angle of 22.5 degrees from bottom to top."""
    image = shown("meshes").drawn().view(1)
    truth = shape()
    stage = Stage.around(truth)
    height, width = image.shape[:2]
    toward = stage.in_world(FRONT / np.linalg.norm(FRONT))
    eye = truth.centroid + 1.4 * stage.diameter * toward
    rig = bp.Rig.looking_at([eye], target=truth.centroid, size=(width, height), fov_deg=45)
    silhouette = bp.render(truth, rig).silhouettes[0]
    assert alike(covered(image), silhouette) > 0.97


def test_reconstruction_and_truth_look_alike_and_turn_alike(shown):
    page = shown("all").drawn()
    before = [page.view(side) for side in (0, 1)]
    assert alike(*map(covered, before)) > 0.95
    page.choose(0, "truth")
    page.drag(0, by=90)
    after = [page.view(side) for side in (0, 1)]
    assert alike(covered(before[1]), covered(after[1])) < 0.9  # the other turned
    assert alike(*map(covered, after)) > 0.99
    page.page.locator("#linked").uncheck()
    page.drag(1, by=90)
    assert alike(covered(page.view(0)), covered(after[0])) > 0.99
    assert alike(covered(page.view(1)), covered(after[1])) < 0.9


def test_every_switch_changes_what_is_drawn(shown):
    page = shown("all").drawn()
    plain = page.view(0)
    assert share_of(plain, INFERRED, 0.05) < 0.01
    seen = {}
    for name in ("truth", "overlay", "error", "seen", "none"):
        page.choose(0, name)
        seen[name] = page.view(0)
    assert not covered(seen["none"]).any()
    assert share_of(seen["overlay"], (0.93, 0.62, 0.34)) > 0.1
    assert np.abs(seen["error"] - plain).mean() > 0.01
    page.choose(0, "seen")
    page.page.select_option("#look", "below")
    assert share_of(page.view(0), INFERRED, 0.05) > 0.3
    page.choose(0, "none")
    page.choose(0, "points")
    points = page.view(0)
    assert covered(points).mean() > 0.01
    page.choose(0, "points")
    assert not covered(page.view(0)).any()
    page.choose(0, "cameras")
    assert covered(page.view(0)).mean() > 0.002


def test_a_mesh_with_colours_is_shown_in_them_first(shown):
    page = shown("red").drawn()
    colored = page.view(0)
    on = covered(colored)
    assert on.mean() > 0.05
    red, green, blue = colored[on].T
    assert (red > 3 * np.maximum(green, blue)).mean() > 0.95  # in light and in shadow
    page.choose(0, "mesh")
    assert share_of(page.view(0), np.array(RED) / 255, 0.2) < 0.01


def test_a_depth_map_leads_to_its_camera(shown):
    page = shown("fused").drawn()
    images = []
    for k in (0, 3):  # opposite each other
        page.page.locator(f"button[data-look='{k}']").click()
        assert page.page.input_value("#look") == str(k)
        images.append(covered(page.view(0)))
    assert alike(*images) < 0.95
    assert alike(images[0], images[1][:, ::-1]) > 0.75  # seen from behind


def test_text_stays_text(shown):
    page = shown("all")
    assert page.page.title() == HOSTILE
    assert page.page.locator("h1").inner_text() == HOSTILE
    assert HOSTILE in page.page.locator("pre").inner_text()


@pytest.mark.parametrize("name", ["all", "fused"])
def test_a_phone_need_not_scroll_sideways(shown, name):
    page = shown(name, viewport={"width": 360, "height": 740}, device_scale_factor=2).drawn()
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 360
    narrow = page.page.evaluate(
        "Math.min(...[...document.querySelectorAll('.defined td')].filter((c) => c.offsetWidth)"
        ".map((c) => parseFloat(getComputedStyle(c).fontSize)))"
    )
    assert narrow >= 12


def test_paper_shows_pictures_in_place_of_the_3d_views(shown, tmp_path):
    page = shown("all")
    page.page.wait_for_selector("#cumulative .trace")
    page.page.emulate_media(media="print")
    assert not page.page.locator(".panels").is_visible()
    stills = page.page.locator(".stills img")
    assert stills.count() == 6  # three of each side
    for k in range(stills.count()):
        assert stills.nth(k).is_visible()
    with Image.open(io.BytesIO(stills.nth(0).screenshot())) as image:
        assert 0.1 < covered(np.asarray(image.convert("RGB")) / 255).mean() < 0.9
    printed = page.page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Subtype\s*/Image", printed)) >= 6
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= 3


def test_without_webgl_pictures_stand_in(browser, pages):
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto((pages / "meshes.html").as_uri())
    page.wait_for_selector("#no-webgl:not(:empty)")
    assert page.locator(".stills img").first.is_visible()
    assert not page.locator(".panels").is_visible()
    assert "cannot draw in 3D" in page.locator("#no-webgl").inner_text()
    context.close()


def test_without_scripts_all_but_3d_is_there(browser, pages):
    context = browser.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto((pages / "all.html").as_uri())
    assert page.locator("#scores table").first.is_visible()
    assert page.locator(".stills img").first.is_visible()
    context.close()


def test_what_cannot_be_told_is_said(shown):
    fused, meshes = shown("fused").page, shown("meshes").page
    assert "no truth was given" in fused.locator("#scores").inner_text()
    assert fused.locator("input[value=error]").count() == 0
    assert fused.locator("#histogram").count() == 0
    told = meshes.locator("#scores").inner_text()
    assert "no views were given" in told
    assert "nor its own support tell" in told
    assert meshes.locator("#self-test, #depth-maps, input[value=seen]").count() == 0


def test_the_curves_are_drawn_and_the_scale_says_its_ends(shown):
    page = shown("all").page
    page.wait_for_selector("#cumulative .trace")
    assert page.locator("#histogram .scatterlayer .trace").count() == 2
    assert page.locator("#cumulative .scatterlayer .trace").count() == 2
    ticks = page.locator("#in-3d .scale .ticks span").all_inner_texts()
    assert (float(ticks[0]), float(ticks[-1])) == ERRORS
