"""A terminal that shows ASCII alone: what stands for the other characters."""

from __future__ import annotations

import os

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from kfgraph.model.standins import STAND_INS

_LIKE = str.maketrans(STAND_INS)


def speaks_ascii_alone() -> bool:
    """Whether the locale says so: C or POSIX. Python changes LC_CTYPE then, so that only the others tell."""
    named = os.environ.get("LC_ALL") or os.environ.get("LANG") or os.environ.get("LC_CTYPE") or ""
    return named in ("C", "POSIX")


class Ascii(LineFilter):
    """Each character as one, or as many as it is wide, of ASCII."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """As of LineFilter."""
        return [
            segment if segment.control or segment.text.isascii() else Segment(plain(segment.text), segment.style)
            for segment in segments
        ]


def plain(text: str) -> str:
    """``text`` in ASCII, as wide as before."""
    return "".join(c if c.isascii() else "?" * cell_len(c) for c in text.translate(_LIKE))
