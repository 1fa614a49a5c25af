"""The styles of the pieces of a tree's rows, on the terminal and in the explorer."""

from __future__ import annotations

from rich.style import Style

STYLES = {
    "": Style.null(),
    "title": Style(bold=True),
    "head": Style(underline=True),
    "dim": Style(dim=True),
    "path": Style(bold=True),
    "module": Style(color="green"),
    "loss": Style(color="red", bold=True),
    "event": Style(color="cyan"),
    "flag": Style(color="red"),
    "scale0": Style(dim=True),
    "scale1": Style.null(),
    "scale2": Style(color="cyan"),
    "scale3": Style(color="magenta"),
    "scale4": Style(color="red"),
    "scale5": Style(color="red", bold=True),
    "scale6": Style(color="red", bold=True, reverse=True),
}
"""Colours of the 16-colour palette that read on dark and on light ground; the scale has its marks besides."""
