"""Sentences in columns: wrapped between words, never inside one. A path that is too long runs over the edge."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.text import Text

NARROW = 40
"""A column of sentences that has less than this is no column: they stand below what they speak of."""


def wrapped(text: str, width: int) -> list[str]:
    """The lines of ``text`` in ``width`` columns; at least one."""
    return textwrap.wrap(text, max(1, width), break_long_words=False, break_on_hyphens=False) or [""]


def hanging(head: Sequence[Text], sentences: Sequence[tuple[str, str]], *, width: int, below: int) -> list[Text]:
    """``head``, cells already padded, with the sentences (text, style) in what is left of the width.

    Where that is too narrow, they begin on the next line, ``below`` columns in.
    """
    first = Text.assemble(*head)
    used = first.cell_len
    if width - used < NARROW:
        lines, used = [Text(first.plain.rstrip(), spans=first.spans)], below
        rest = [(line, style) for text, style in sentences for line in wrapped(text, width - used)]
    else:
        every = [(line, style) for text, style in sentences for line in wrapped(text, width - used)]
        lines = [Text.assemble(first, every[0])] if every else [first]
        rest = every[1:]
    lines += [Text.assemble(" " * used, line) for line in rest]
    for line in lines:
        line.no_wrap, line.overflow = True, "ignore"
    return lines
