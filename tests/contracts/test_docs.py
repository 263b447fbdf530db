"""The docs lead where they say, also without the site; and they say no more than what is there."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from backproject.io.sources.registry import SOURCES

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


def text(page):
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.*)$", text(page), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", heading.replace("`", "")).lower() for heading in headings]
    return {re.sub(r"[\s]+", "-", heading.strip()) for heading in plain}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_what_is_there(name):
    page = ROOT / name
    for link in LINK.findall(text(page)):
        where = urlsplit(link)
        if where.scheme:
            continue
        there = page.parent / where.path if where.path else page
        assert there.exists(), link
        if where.fragment:
            assert where.fragment in anchors(there), link


def test_every_kind_of_source_is_in_the_table():
    table = (ROOT / "docs" / "formats.md").read_text("utf-8")
    told = re.findall(r"^\| `([\w.-]+)` \|", table.split("## What you say wins")[0], re.MULTILINE)
    assert sorted(told) == sorted(source.name for source in SOURCES)


def test_the_site_fetches_nothing():
    """No font, no script, no style from the network; pages open as files."""
    settings = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert "font: false" in settings
    assert "use_directory_urls: false" in settings
    assert "://" not in settings
    (shim,) = re.findall(r"- (\S+iframe-worker\.js)", settings)
    assert (ROOT / "docs" / shim).is_file()
