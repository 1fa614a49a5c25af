"""Text for one cell: bars, names cut to fit, hostile text spelt out."""

from __future__ import annotations

from rich.cells import cell_len, chop_cells

_BLOCKS = " ▏▎▍▌▋▊▉█"


def bar(share: float, width: int) -> str:
    """``width`` columns, ``share`` of them filled, in eighths."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_BLOCKS[part] if part else "")).ljust(width)


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
