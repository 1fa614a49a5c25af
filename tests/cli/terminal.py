"""A small terminal: what stands on its screen after some bytes, wrapping as xterm and Linux's console do."""

from __future__ import annotations

import re


class Screen:
    """Lines of ``width`` letters. A letter in the last column leaves the cursor there until the next comes."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows = [[]]  # type: list[list[str]]
        self.row = self.column = 0

    def feed(self, text: str) -> None:
        for token in re.findall(r"\x1b\[[0-9;]*[Km]|.|\n", text, re.DOTALL):
            if token.endswith("m") and len(token) > 1:
                continue  # a colour
            if token == "\r":
                self.column = 0
            elif token == "\n":
                self._next_row()
            elif token == "\x1b[K":
                del self.rows[self.row][self.column :]
            else:
                if self.column == self.width:
                    self._next_row()
                    self.column = 0
                row = self.rows[self.row]
                row += [" "] * (self.column + 1 - len(row))
                row[self.column] = token
                self.column += 1

    def _next_row(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])

    @property
    def lines(self) -> list[str]:
        return ["".join(row).rstrip() for row in self.rows]
