"""The frame of a page that holds all it shows: no network, no other files.

It knows nothing of meshes and views: a page is a title and sections, of tables, tiles and pictures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from backproject.io.atomic import atomic_file
from backproject.report.colors import ERROR_STOPS, Stops, error_share
from backproject.report.markup import Content, Markup, element

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
"""Told to the browser, which then loads nothing that is not in the page."""
GENERATOR = "backproject"
DISTANCE_TICKS = ((1e-5, "1e-5"), (1e-4, "1e-4"), (1e-3, "0.001"), (1e-2, "0.01"))
_HEAD = 4096


def document(
    *,
    title: str,
    lead: Content,
    sections: Iterable[Markup],
    scripts: Iterable[Markup] = (),
    style: str = "",
) -> str:
    """Return a whole page as HTML; `lead` stands under the title, `style` is CSS beside the
    frame's.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content=GENERATOR),
        element("title", title),
        element("style", Markup(packaged("page.css") + style)),
    )
    top = element("header", element("h1", title), lead)
    body = element("body", top, element("main", *sections), *scripts)
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"


def write_page(page: str, path: str | PathLike[str]) -> None:
    """Write a page, whole or not at all.

    Raises:
        OutputError: the place cannot be written.

    """
    with atomic_file(path) as beside:
        beside.write_text(page, "utf-8")


def is_page(path: str | PathLike[str]) -> bool:
    """Tell whether a file is a page that this program wrote."""
    told = element("meta", name="generator", content=GENERATOR).encode()
    with Path(path).open("rb") as file:
        return told in file.read(_HEAD)


def section(title: str, *content: Content, id_: str, about: Content = "") -> Markup:
    """Return a section with its heading, and what it is `about` in a quiet sentence or two."""
    told = [element("p", about, class_="about")] if about else []
    return element("section", element("h2", title), *told, *content, id_=id_)


def titled(title: str, *content: Content) -> Markup:
    """Return a part of a section with its own small heading."""
    return element("div", element("h3", title), *content)


def table(
    rows: Iterable[Sequence[Content]], *, head: Sequence[Content] = (), class_: str | None = None
) -> Markup:
    """Return a table; the first cell of every row names it.

    Of class "defined" its columns are name, value, unit, definition, best, and narrow screens show
    the definition below.
    """
    top = [element("thead", element("tr", *(element("th", cell) for cell in head)))] if head else []
    body = [
        element(
            "tr",
            element("th", first, scope="row"),
            *(element("td", cell) for cell in rest),
        )
        for first, *rest in rows
    ]
    return element(
        "div", element("table", *top, element("tbody", *body), class_=class_), class_="wide"
    )


def tiles(told: Iterable[tuple[str, str, str]]) -> Markup:
    """Return a row of figures to see at once: value, name, and unit or remark."""
    return element(
        "dl",
        *(
            element("div", element("dt", name), element("dd", value), element("dd", remark))
            for value, name, remark in told
        ),
        class_="tiles",
    )


def image(source: str, alt: str) -> Markup:
    """Return an image given as a `data:` URI."""
    return element("img", src=source, alt=alt)


def picture(source: str, alt: str, caption: Content = "", **attributes: str | bool) -> Markup:
    """Return a figure of an image given as a `data:` URI."""
    below = [element("figcaption", caption)] if caption else []
    return element("figure", image(source, alt), *below, **attributes)


def gallery(figures: Iterable[Markup], *, class_: str = "gallery") -> Markup:
    """Return figures in rows, as many to a row as there is room for."""
    return element("div", *figures, class_=class_)


def color_scale(stops: Stops, ticks: Iterable[tuple[float, str]], label: str) -> Markup:
    """Return the bar of a colour scale, `ticks` at places from 0 to 1."""
    colors = ", ".join(f"{color} {place:.2%}" for place, color in stops)
    marks = [element("span", text, style=f"left: {place:.2%}") for place, text in ticks]
    return element(
        "div",
        element("div", style=f"background: linear-gradient(to right, {colors})", class_="bar"),
        element("div", *marks, class_="ticks"),
        element("div", label, class_="label"),
        class_="scale",
    )


def distance_scale(label: str) -> Markup:
    """Return the bar of the error's colours, in diameters."""
    ticks = [(float(error_share(np.array(at))), text) for at, text in DISTANCE_TICKS]
    return color_scale(ERROR_STOPS, ticks, label)


def swatch(color: str, text: str) -> Markup:
    """Return a spot of colour `#rrggbb` and what it means."""
    return element("span", element("i", style=f"background: {color}"), text, class_="swatch")


def key(*swatches: Markup) -> Markup:
    """Return the meanings of some colours in a row."""
    return element("div", *swatches, class_="key")


def script(code: str) -> Markup:
    """Return a script of the page's own."""
    return element("script", Markup(code))


def data(content: Any, id_: str) -> Markup:
    """Return values for the page's scripts, as JSON that cannot end its own element."""
    told = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return element("script", Markup(told), type="application/json", id_=id_)


def packaged(name: str) -> str:
    """Return the text of a file beside this one."""
    return resources.files(__package__).joinpath(name).read_text("utf-8")
