"""The explorer: what each key does in a tree and in a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual import on
from textual.widgets import Input

from kfgraph.analyze.lookup import expression, failing, named, next_of, slow
from kfgraph.analyze.open_rows import Group
from kfgraph.errors import KfgraphError
from kfgraph.render.explorer.rows import ListRows, Rows, TreeRows
from kfgraph.render.explorer.views import Views

_BESIDE = ((), ("returns",), ("args", "returns"))


class Explorer(Views):
    """The explorer, with its keys."""

    @on(Rows.Chosen)
    def _clicked(self) -> None:
        self.action_open_or_close()

    def action_move(self, step: int) -> None:
        """Some rows on."""
        self.rows.go(self.rows.cursor + step)

    def action_page(self, share: float) -> None:
        """Some screens on."""
        self.rows.go(self.rows.cursor + round(share * max(self.rows.size.height - 1, 1)))

    def action_first(self) -> None:
        """The first row."""
        self.rows.go(0)

    def action_last(self) -> None:
        """The last row."""
        self.rows.go(self.rows.n_rows() - 1)

    def action_parent(self) -> None:
        """The row that this one is below."""
        if (tree := self._at_row()) is not None:
            tree.go(max(tree.window.rows.parent_row(tree.cursor), 0), middle=True)

    def _at_row(self) -> TreeRows | None:
        """The tree, with the cursor on a row; None, which the screen says: there is none."""
        tree = self.tree_rows
        if tree is None:
            self.say("this key is for trees: 1 calls, 2 merged")
            return None
        return tree if tree.n_rows() else None

    def action_open_or_close(self) -> None:
        """Open or close; in a list go to the call."""
        rows = self.rows
        if isinstance(rows, ListRows):
            if rows.target != -1:
                self._go_to(rows.target)
            else:
                self.say("this line is not about a call")
        elif (tree := self._at_row()) is not None:
            opened = tree.window.rows
            if opened.close(tree.cursor) or opened.open(tree.cursor):
                tree.anew()

    def action_right(self) -> None:
        """Open; the first row below where it is open."""
        if (tree := self._at_row()) is not None:
            if tree.window.rows.open(tree.cursor):
                tree.anew()
            elif tree.window.rows.is_open(tree.item) and tree.window.rows.block_end(tree.cursor) > tree.cursor + 1:
                tree.go(tree.cursor + 1)

    def action_left(self) -> None:
        """Close; the row above where it is closed."""
        if (tree := self._at_row()) is not None:
            if tree.window.rows.close(tree.cursor):
                tree.anew()
            else:
                self.action_parent()

    def _open_all(self, opened: bool) -> None:
        if (tree := self._at_row()) is not None and tree.window.rows.may_open(tree.item):
            tree.window.rows.open_all(tree.cursor, opened=opened)
            tree.anew()

    def action_open_all(self) -> None:
        """Open all below."""
        self._open_all(True)

    def action_close_all(self) -> None:
        """Close all below."""
        self._open_all(False)

    def action_hot(self) -> None:
        """Open the hot path."""
        if (tree := self._at_row()) is not None:
            row = tree.window.rows.open_hot_path(tree.cursor)
            tree.anew()
            tree.go(row, middle=True)

    def action_zoom(self) -> None:
        """Only this and what is below it."""
        if (tree := self._at_row()) is not None:
            if tree.window.zoom(tree.cursor):
                tree.anew()
                tree.go(0)
            elif tree.item >= tree.window.rows.n:
                self.say("no single call: open it, and zoom into one below it")

    def action_unzoom(self) -> None:
        """Back to where the zoom began."""
        if (tree := self.tree_rows) is not None and tree.window.zooms:
            row = tree.window.unzoom()
            tree.anew()
            tree.go(max(row, 0), middle=True)

    def _jump(self, nodes: Any, step: int, what: str) -> None:
        """To the next of these nodes that can be shown."""
        if (tree := self._at_row()) is None:
            return
        rows = tree.window.rows
        nodes = nodes[rows.reachable(nodes)]
        place = next_of(nodes, rows.node(tree.item), step=step)
        row = rows.reveal(int(nodes[place])) if place >= 0 else -1
        if row < 0:
            self.say(f"no {what} in what is shown")
            return
        tree.anew()
        tree.go(row, middle=True)

    def _kept(self, name: str, make: Callable[[], Any]) -> Any:
        # Of one view there may be several trees, one after the other: the callers of one function, then of another.
        key = (self.rows.id or "", name)
        if key not in self._cached:
            self._cached[key] = make()
        return self._cached[key]

    def action_failing(self, step: int) -> None:
        """The next call that failed."""
        if (tree := self._at_row()) is not None:
            self._jump(self._kept("failing", lambda: failing(tree.window.tree)), step, "call that failed")

    def action_slow(self, step: int) -> None:
        """The next slow call."""
        if (tree := self._at_row()) is not None:
            self._jump(self._kept("slow", lambda: slow(tree.window.tree)), step, "slow call")

    def action_match(self, step: int) -> None:
        """The next match."""
        rows = self.rows
        if not self._pattern:
            self.say("nothing was searched for: / begins")
        elif not isinstance(rows, TreeRows):
            found = rows.matching(expression(self._pattern))
            place = next_of(found, rows.cursor, step=step)
            if place < 0:
                self.say(f"no {rows.noun} has {self._pattern}")
                return
            rows.go(int(found[place]), middle=True)
        elif self._search(self._pattern):
            self._jump(self._matches[self._view], step, f"match of {self._pattern}")

    def action_search(self) -> None:
        """Ask what to search for."""
        line = self.query_one("#line", Input)
        line.display, line.placeholder, line.value = True, "search: a regular expression", ""
        line.focus()

    @on(Input.Submitted, "#line")
    def _asked(self, event: Input.Submitted) -> None:
        self._close_line()
        pattern = event.value or self._pattern
        if pattern and self._search(pattern):
            self.action_match(1)

    def _search(self, pattern: str) -> bool:
        """Look for a pattern in this view, if that was not done; whether it can be searched for."""
        try:
            wanted = expression(pattern)
        except KfgraphError as problem:
            self.say(problem.message)
            return False
        if wanted.pattern != self._pattern:
            self._matches.clear()
            self._pattern = pattern
        tree = self.tree_rows
        if tree is not None and self._view not in self._matches:
            self._matches[self._view] = nodes = named(tree.window.tree, pattern)
            tree.window.mark(nodes)
            tree.anew()
        return True

    def _close_line(self) -> None:
        line = self.query_one("#line", Input)
        if line.display:
            line.display = False
            self.rows.focus()

    def key_escape(self) -> None:
        """Leave the line that asks."""
        self._close_line()

    def action_group(self) -> None:
        """Fold the rows beside this one by function."""
        if (tree := self._at_row()) is None:
            return
        rows = tree.window.rows
        node = rows.node(tree.item)
        parent = int(tree.window.tree.parent[node])
        if parent < 0 or not rows.group(parent):
            self.say("no two calls of one function stand beside this row")
            return
        label = tree.window.tree.label[node]
        tree.anew()
        if rows.is_grouped(parent):
            for item in rows.children(parent).tolist():
                made = rows.made(item)
                if isinstance(made, Group) and tree.window.tree.label[made.members[0]] == label:
                    tree.go(rows.row_of(item), middle=True)
                    return
        tree.go(max(rows.row_of(node), 0), middle=True)

    def action_sort(self) -> None:
        """By time, or in order."""
        if (tree := self._at_row()) is not None:
            item = tree.item
            tree.window.rows.sort(by_time=not tree.window.rows.by_time)
            tree.anew()
            tree.go(max(tree.window.rows.row_of(item), 0), middle=True)

    def action_hide(self) -> None:
        """Hide the calls of this function."""
        if (tree := self._at_row()) is None:
            return
        label = tree.window.function_at(tree.item)
        if label < 0:
            self.say("this row is no function: x hides the calls of one")
            return
        tree.window.hide(label)
        tree.anew()
        tree.go(tree.cursor)

    def action_unhide(self) -> None:
        """Show what was hidden last."""
        if (tree := self.tree_rows) is not None and tree.window.unhide():
            tree.anew()

    def action_beside(self) -> None:
        """What stands beside the names."""
        if (tree := self._at_row()) is not None:
            if tree.window.call_tree.merged:
                self.say("calls with the same path have no one result: 1 shows every call")
                return
            at = _BESIDE.index(tree.window.beside) if tree.window.beside in _BESIDE else 0
            tree.window.beside = _BESIDE[(at + 1) % len(_BESIDE)]
            tree.anew()

    def action_start(self) -> None:
        """The column of start times."""
        if (tree := self._at_row()) is not None:
            if tree.window.call_tree.merged:
                self.say("calls with the same path have no one start: 1 shows every call")
                return
            tree.window.start = not tree.window.start
            tree.anew()

    def action_panel(self) -> None:
        """The panel, or not."""
        if self._at_row() is None:
            return
        self._panel = not self.query_one("#side").display
        self._fit()
        self._say()
