"""How a result was made: the command, its settings, what it took and who did it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata

from backproject.geometry.views import ViewSet
from backproject.report.capture import assumptions_of, facts_of
from backproject.report.markup import Content, Markup, element
from backproject.report.page import section, table

PACKAGES = ("backproject", "numpy", "numba", "scipy", "libigl", "plotly")


@dataclass(frozen=True, kw_only=True)
class Making:
    """How a result was made: the `command`, `settings` by name, and `seconds` by stage."""

    command: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


def versions() -> list[tuple[str, str]]:
    """Return rows of who is at work: this program, what it stands on, and the machine."""
    told = [(name, _version(name)) for name in PACKAGES]
    cores = f"{os.cpu_count()} cores"
    return [
        *told,
        ("Python", platform.python_version()),
        ("machine", f"{platform.system()} {platform.machine()}, {cores}"),
        ("written", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
    ]


def section_of_making(making: Making, views: ViewSet | None) -> Markup:
    """Return the section of a report about how its result was made."""
    content: list[Content] = []
    if making.command:
        content.append(element("pre", making.command))
    if making.seconds:
        rows = [(stage, f"{spent:.2f} s") for stage, spent in making.seconds.items()]
        content += [element("h3", "Seconds"), table(rows)]
    if making.settings:
        content += [element("h3", "Settings"), table(making.settings.items())]
    if views:
        content += [element("h3", "Views"), table(facts_of(views))]
        if assumed := assumptions_of(views):
            head = ("about", "understood as", "because")
            content += [element("h3", "What was assumed of them"), table(assumed, head=head)]
    content += [element("h3", "Versions"), table(versions())]
    return section("How it was made", *content, id_="making")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed as a package"
