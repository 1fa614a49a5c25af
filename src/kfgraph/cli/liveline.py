"""One line of a terminal that is written over, and that leaves what others write there alone."""

from __future__ import annotations

import contextlib
import os
from typing import TextIO

_ERASE = "\r\x1b[K"
_USUAL_WIDTH = 80


class LiveLine:
    """A line on ``stream`` while that is a terminal and the line is ``wanted``; nothing anywhere else."""

    def __init__(self, stream: TextIO, *, wanted: bool = True) -> None:
        self._stream = stream
        self.live = wanted and stream.isatty()
        self._shown = ""
        self._ours = True

    def update(self, text: str) -> None:
        """Show ``text`` instead of what was shown, cut to the width of the terminal."""
        text = text[: max(0, self._width() - 1)]
        if not self.live or (text == self._shown and self._ours):
            return
        # Where another may write next, from the line's beginning: what it writes stands over this text, not behind it.
        self._write((_ERASE if self._ours else self._fresh()) + text + ("" if self._ours else "\r"))
        self._shown = text

    def clear(self) -> None:
        """Take the line away if it is there."""
        if self._shown:
            self._write(_ERASE if self._ours else self._fresh())
            self._shown = ""

    def hand_over(self) -> None:
        """From here on another program may write to the terminal too, and leave its line unfinished."""
        self.clear()
        self._ours = False

    def take_back(self) -> None:
        """That program has ended: go on at the beginning of a line, whatever it left."""
        if self.live and not self._ours:
            self._write(self._fresh())
            self._ours, self._shown = True, ""

    def _fresh(self) -> str:
        # As many blanks as the terminal is wide: from the beginning of a line they end on that line, from anywhere
        # else on the next. Nothing that stands there is written over.
        return " " * self._width() + _ERASE

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _USUAL_WIDTH
        except OSError:
            return _USUAL_WIDTH

    def _write(self, text: str) -> None:
        if self.live:
            with contextlib.suppress(OSError):  # a terminal that was hung up
                self._stream.write(text)
                self._stream.flush()
