"""Sentences in columns: wrapped between words, never inside one. A path that is too long runs over the edge."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from rich.cells import cell_len, chop_cells
from rich.text import Text

NARROW = 40
"""A column of sentences that has less than this is no column: they stand below what they speak of."""
_GLUE, _FILLER = "\0", "\1"
_COMMAND = re.compile(r"(?:(?<= )|(?<=\()|^)(?:sudo|echo|kfgraph|/(?:\S*/)?s?bin/\S+) [^();,:]*[^();,: ]")

_UNIT = re.compile(r"(?<=\d) (?=(?:ns|us|ms|s|B|KiB|MiB|GiB)\b)")
_OPTION = re.compile(r"(--[a-z-]+) (?=[A-Z\d'])")


def wrapped(text: str, width: int, *, commands: bool = False, options: bool = False) -> list[str]:
    """The lines of ``text`` in ``width`` columns; at least one. An indented text stays indented, by two more. None ends
    between a number and its unit.

    ``commands``: nor is there an end of line inside a command to type. It would not work where it is pasted.
    ``options``: nor between an option and its value.
    """
    text = _UNIT.sub(_GLUE, text)
    if options:
        text = _OPTION.sub(rf"\1{_GLUE}", text)
    if commands:
        text = _COMMAND.sub(lambda found: found[0].replace(" ", _GLUE), text)
    if not text.isascii():
        # What is two columns wide counts as two.
        text = "".join(c + _FILLER * (cell_len(c) - 1) for c in text)
    indent = len(text) - len(text.lstrip())
    lines = textwrap.wrap(
        text, max(1, width), break_long_words=False, break_on_hyphens=False,
        subsequent_indent=" " * (indent + 2 if indent else 0),
    ) or [""]  # fmt: skip
    return [line.replace(_GLUE, " ").replace(_FILLER, "") for line in lines]


def filled(words: list[str], width: int | None) -> list[str]:
    """The words with two spaces between, broken into lines of at most ``width`` columns."""
    lines: list[str] = []
    for word in words:
        if lines and (width is None or len(lines[-1]) + 2 + len(word) <= width):
            lines[-1] += f"  {word}"
        else:
            lines += wrapped(word, width) if width else [word]
    return lines


def in_cells(line: str, width: int) -> list[str]:
    """``line`` in pieces of ``width`` columns, wherever they end."""
    return [line] if cell_len(line) <= width else chop_cells(line, width)


def with_command(before: str, command: str, *, width: int, indent: int = 0) -> list[str]:
    """A sentence with a command to type in it: on one line, or the command, whole, on a line of its own.

    A command with an end of line in it does not work where it is pasted: one that is too long for a line runs over the
    edge, where the terminal wraps it.
    """
    begin = " " * indent
    if indent + cell_len(f"{before} {command}") <= width:
        return [f"{begin}{before} {command}"]
    first, *rest = wrapped(before, width - indent - 2)
    return [begin + first, *(f"{begin}  {line}" for line in (*rest, command))]


def hanging(head: Sequence[Text], sentences: Sequence[tuple[str, str]], *, width: int, below: int) -> list[Text]:
    """``head``, cells already padded, with the sentences (text, style) in what is left of the width.

    Where that is too narrow, they begin on the next line, ``below`` columns in.
    """
    first = Text.assemble(*head)
    used = first.cell_len
    if width - used < NARROW:
        lines, used = [Text(first.plain.rstrip(), spans=first.spans)], below
        rest = [(line, style) for text, style in sentences for line in wrapped(text, width - used, commands=True)]
    else:
        every = [(line, style) for text, style in sentences for line in wrapped(text, width - used, commands=True)]
        lines = [Text.assemble(first, every[0])] if every else [first]
        rest = every[1:]
    lines += [Text.assemble(" " * used, line) for line in rest]
    for line in lines:
        line.no_wrap, line.overflow = True, "ignore"
    return lines
