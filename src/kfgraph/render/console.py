"""The one way to the terminal for people: a rich console. Machine formats never pass through it (it wraps)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from kfgraph.model.spelling import spelt_out_lines

WIDTH_OF_A_FILE = 160
"""Columns where no terminal tells a width: a file, a CI log."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the error boundary; rich would exit with status 1."""
        raise

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of ``renderable``, harmless: rich lets escape sequences in a text through."""
        for segment in super().render(renderable, options):
            text = segment.text
            if segment.control or text == "\n" or (text.isascii() and text.isprintable()):
                yield segment
            else:
                yield Segment(spelt_out_lines(text), segment.style)


def stdout_console() -> Console:
    """A console on stdout: colours on a terminal unless NO_COLOR, the width of the terminal if any."""
    console = _Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=False)
    if "COLUMNS" not in os.environ and not any(os.isatty(fd) for fd in (0, 1, 2)):
        console.width = WIDTH_OF_A_FILE
    return console


def stderr_console() -> Console:
    """A console on stderr for lines that the terminal may wrap."""
    return _Console(stderr=True, highlight=False, soft_wrap=True)
