"""The words of a table cell: times with aligned decimal points, shares, bars, names cut to fit."""

from __future__ import annotations

import re

from rich.cells import cell_len, chop_cells

TIME_WIDTH = 10
"""Columns of ``time_cell`` below 1,000 s."""
SHARE_WIDTH = 6
_BLOCKS = " ▏▎▍▌▋▊▉█"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def time_cell(ns: int) -> str:
    """``  1.234 us``, ``123.456 ms``, ``  2.000 s ``: always three decimals, so that points align.

    ``?`` for -1. At least as wide as TIME_WIDTH; only 1,000 s and more are wider.
    """
    if ns < 0:
        return "?   ".rjust(TIME_WIDTH)
    if ns < 999_999_500:
        unit, size = ("us", 1_000) if ns < 1_000_000 else ("ms", 1_000_000)
        return f"{ns / size:7.3f} {unit}"
    return f"{ns / 1_000_000_000:7.3f} s "


def share_cell(share: float) -> str:
    """0..1 -> `` 12.3%``; `` <0.1%`` for what would round to nothing; ``?`` for an unknown share."""
    if share < 0:
        return "?".rjust(SHARE_WIDTH)
    return "<0.1%".rjust(SHARE_WIDTH) if 0 < share < 0.0005 else f"{100 * share:5.1f}%"


def bar(share: float, width: int) -> str:
    """``width`` columns, ``share`` of them filled, in eighths."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_BLOCKS[part] if part else "")).ljust(width)


def clean(text: str) -> str:
    """Text from a trace with everything that could move a cursor or turn a line spelt out (``\\x1b``)."""
    return _UNPRINTABLE.sub(lambda m: m[0].encode("unicode_escape").decode("ascii"), text)


def cut_middle(text: str, width: int) -> str:
    """``text`` in at most ``width`` columns: ``do_one_…_install``, both ends kept."""
    if cell_len(text) <= width:
        return text
    if width < 2:
        return "…"[:width]
    head = (width - 1) - (width - 1) // 2
    tail = width - 1 - head
    if cell_len(text) == len(text):
        return f"{text[:head]}…{text[len(text) - tail :]}"
    # Some characters are two columns wide, or none.
    first = chop_cells(text, head)[0] if head else ""
    last = chop_cells(text[::-1], tail)[0][::-1] if tail else ""
    return f"{first}…{last}"
