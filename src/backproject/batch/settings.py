"""What is to be done to each shape: all that the results depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from backproject.batch.fetch import content_of
from backproject.batch.inputs import Kind
from backproject.errors import FileMissingError, InputError
from backproject.fusion.fuse import Surface
from backproject.geometry.rig import Rig, RigSettings
from backproject.io.sources.source import Asked

Task = Literal["roundtrip", "render", "fuse", "check"]


@dataclass(frozen=True)
class Kept:
    """The files that a task can keep: those it keeps by `default`, and all that it `can`."""

    kind: Kind
    default: tuple[str, ...]
    can: tuple[str, ...]


TASKS: Mapping[Task, Kept] = MappingProxyType(
    {
        "roundtrip": Kept(
            "mesh",
            ("mesh", "scores", "picture"),
            ("mesh", "scores", "picture", "views", "cloud"),
        ),
        "render": Kept("mesh", ("views",), ("views", "picture")),
        "fuse": Kept("capture", ("mesh",), ("mesh", "picture")),
        "check": Kept("capture", ("findings",), ("findings", "views")),
    }
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The task, and the options of the single commands that it is made of.

    `keep` names the files to be kept of each shape, none for the task's own choice; `samples` are
    the points on each surface for the scores.
    """

    task: Task = "roundtrip"
    rig: RigSettings = field(default_factory=RigSettings)
    resolution: int = 256
    surface: Surface = "solid"
    noise: float | None = None
    simplify: float | None = None
    samples: int = 20_000
    keep: tuple[str, ...] = ()
    reading: Asked = field(default_factory=Asked)

    def __post_init__(self) -> None:
        can = TASKS[self.task].can
        for name in self.keep:
            if name not in can:
                raise InputError(
                    f"--keep {name}: --task {self.task} makes no such file,"
                    f" expected some of {','.join(can)}"
                )
        if not self.keep:
            object.__setattr__(self, "keep", TASKS[self.task].default)

    @property
    def kind(self) -> Kind:
        """What the task takes."""
        return TASKS[self.task].kind

    @cached_property
    def cameras(self) -> Rig:
        """The rig, around the origin; a file of cameras is read once, and travels with this."""
        return self.rig.build()

    @cached_property
    def described(self) -> dict[str, Any]:
        """The settings that the task's results depend on, as plain values for JSON.

        Raises:
            FileMissingError: a file or a folder among them is not there.

        """
        told: dict[str, Any] = {
            "task": self.task,
            "version": version(),
            "keep": sorted(self.keep),
        }
        if self.kind == "mesh":
            told["rig"] = asdict(self.rig) | {"sha256": _digest_of(self.cameras)}
        else:
            told["reading"] = {
                name: _told(name, value) for name, value in vars(self.reading).items()
            }
        if self.task in ("roundtrip", "fuse"):
            told |= {
                name: getattr(self, name) for name in ("resolution", "surface", "noise", "simplify")
            }
        if "scores" in self.keep:
            told["samples"] = self.samples
        return told

    @cached_property
    def recipe(self) -> str:
        """One number for all of that, SHA-256 as hexadecimal."""
        return hashlib.sha256(json.dumps(self.described, sort_keys=True).encode()).hexdigest()


def _told(name: str, value: Any) -> Any:
    """Return a setting as JSON has it; a file or a folder counts by what it holds, too."""
    if not isinstance(value, Path):
        return value
    if not value.exists():
        option = name.replace("_", "-")
        raise FileMissingError(f"--{option} {value}: no such file or folder, expected it")
    return {"path": str(value), "sha256": content_of(value)}


def version() -> str:
    """Return this package's version."""
    return metadata.version("backproject")


def _digest_of(rig: Rig) -> str:
    arrays = (rig.intrinsics, rig.world_from_camera, rig.orthographic)
    told = (*(each.tobytes() for each in arrays), rig.width, rig.height)
    return hashlib.sha256(repr(told).encode()).hexdigest()
