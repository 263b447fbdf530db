"""Places that fsspec reaches: `s3://`, `gs://`, `file://`, `memory://` and their like."""

from __future__ import annotations

import re
from typing import Any

from backproject.errors import InputError


def is_url(word: str) -> bool:
    """Return whether a word is a URL and no path; a path made of one has lost a slash."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", word) is not None


def filesystem_of(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path there.

    Raises:
        InputError: fsspec is not installed, or nothing that it knows.

    """
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise InputError(
            f"{url}: is a URL, for which fsspec is missing, expected it to be installed:"
            " pip install 'backproject[cluster]'"
        ) from error
    try:
        files, path = url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise InputError(f"{url}: {error}; expected a URL that fsspec can reach") from error
    return files, str(path)
