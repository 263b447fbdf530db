"""HTML that cannot forget to escape: elements of elements, and of text."""

from __future__ import annotations

import html

_VOID = frozenset({"br", "img", "input", "meta"})


class Markup(str):
    """Text that is HTML already. Any other text is escaped when an element takes it up."""

    __slots__ = ()


Content = str | Markup
"""Text, or HTML."""


def element(name: str, /, *children: Content, **attributes: str | float | bool | None) -> Markup:
    """Return an element: `element("td", "a < b", class_="x")`.

    A trailing `_` in an attribute's name is for Python alone, and others become `-`. True gives an
    attribute without a value; None and False none.
    """
    told = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{_escaped(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{name}{told}>")
    return Markup(f"<{name}{told}>{joined(*children)}</{name}>")


def joined(*parts: Content) -> Markup:
    """Return the parts one after another, plain text escaped."""
    return Markup("".join(map(_as_html, parts)))


def _as_html(part: Content) -> str:
    return part if isinstance(part, Markup) else html.escape(part)


def _escaped(value: str | float) -> str:
    return html.escape(str(value), quote=True)
