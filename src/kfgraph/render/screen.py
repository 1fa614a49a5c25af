"""Where a tree is printed: a terminal, or a file."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import Console

from kfgraph.render.console import stdout_console
from kfgraph.render.pager import passes_links, write

if TYPE_CHECKING:
    from kfgraph.render.tree import TreeView


@dataclass(frozen=True, eq=False, repr=False)
class Screen:
    """Where a tree goes: a terminal of ``width`` columns and ``rows`` lines, or a file (None: no limits)."""

    console: Console
    width: int | None
    rows: int | None

    def show(self, view: TreeView) -> None:
        """Print it; on a terminal in colours, and through the pager if it is longer than the screen."""
        if self.console.is_terminal:
            if view.links is not None and self.rows and len(view) >= self.rows and not passes_links():
                view = replace(view, links=None)
            write(view.styled(self.console), self.console.file, page_after=self.rows and self.rows - 1)
        else:
            write(view.plain(), self.console.file)


def open_screen() -> Screen:
    """Standard output as it is. A file has as many columns as COLUMNS says, else no limit: nothing is cut."""
    console = stdout_console()
    if console.file.isatty():
        return Screen(console, console.width, console.height)
    return Screen(console, console.width if "COLUMNS" in os.environ else None, None)
