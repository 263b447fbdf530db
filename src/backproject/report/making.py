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
from backproject.report.page import section, table, titled

PACKAGES = ("backproject", "numpy", "numba", "scipy", "libigl", "plotly")


@dataclass(frozen=True, kw_only=True)
class Making:
    """How a result was made: the `command`, `settings` by name, and `seconds` by stage."""

    command: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """The seconds of all stages."""
        return sum(self.seconds.values())


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
    facts: list[Markup] = []
    if making.command:
        content.append(element("pre", making.command))
    if making.seconds:
        spent = [(stage, f"{each:.2f} s") for stage, each in making.seconds.items()]
        facts.append(titled("Seconds", table([*spent, ("all", f"{making.total:.2f} s")])))
    if making.settings:
        facts.append(titled("Settings", table(making.settings.items())))
    if views:
        facts.append(titled("Views", table(facts_of(views))))
    facts.append(titled("Versions", table(versions())))
    content.append(element("div", *facts, class_="beside"))
    if views and (assumed := assumptions_of(views)):
        head = ("about", "understood as", "because")
        content.append(titled("What was assumed of the views", table(assumed, head=head)))
    return section("How it was made", *content, id_="making")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed as a package"
