"""transforms.json: nerfstudio's and NeRF's cameras, and this program's own captures."""

from __future__ import annotations

from backproject.io import captures
from backproject.io.sources.source import Source

SOURCE = Source(
    name="transforms.json",
    files="a folder with transforms.json, or that file",
    what="nerfstudio's and NeRF's cameras with `depth_file_path`; this program's own captures",
    recognises=captures.is_capture,
    read=captures.find_capture,
    write=lambda views, path: captures.write_capture(views, path),
)
