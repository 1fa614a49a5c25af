"""The explorer: what each key does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.text import Text
from textual import on
from textual.widgets import Input

from kfgraph.analyze.calltree import CallTree, call_tree
from kfgraph.analyze.filters import Filters
from kfgraph.analyze.lookup import failing, named, next_of, node_of_call, slow, slowest_of
from kfgraph.analyze.openrows import Group
from kfgraph.errors import KfgraphError
from kfgraph.model.spelling import spelt_out
from kfgraph.model.tree import NodeKind
from kfgraph.model.units import format_ns
from kfgraph.render.explorer import lists
from kfgraph.render.explorer.rows import ListRows, Rows, TreeRows
from kfgraph.render.explorer.screens import AskScreen, HelpScreen, PickScreen
from kfgraph.render.explorer.surface import Surface
from kfgraph.render.explorer.window import Window

_BESIDE = ((), ("returns",), ("args", "returns"))


class Explorer(Surface):
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
        tree = self.tree_rows
        return tree if tree is not None and tree.n_rows() else None

    def action_open_or_close(self) -> None:
        """Open or close; in a list go to the call."""
        tree = self._at_row()
        if tree is None:
            rows = self.rows
            if isinstance(rows, ListRows) and rows.target != -1:
                self._go_to(rows.target)
            return
        rows_ = tree.window.rows
        if not (rows_.close(tree.cursor) or rows_.open(tree.cursor)):
            return
        tree.anew()

    def _go_to(self, target: lists.Target) -> None:
        """Show a call in the view of calls."""
        window = self._window
        tree = window.tree
        node = slowest_of(tree, target) if isinstance(target, str) else node_of_call(tree, target)
        row = window.rows.reveal(node) if node >= 0 else -1
        if row < 0 and node >= 0:
            self._unzoom()
            row = window.rows.reveal(node)
        if row < 0:
            self.say("this call is not among those that are shown")
            return
        self._show("calls")
        self.rows.anew()
        self.rows.go(row, middle=True)

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
        if (tree := self._at_row()) is not None and tree.item < tree.window.rows.n:
            rows, item = tree.window.rows, tree.item
            if len(rows.tops) == 1 and int(rows.tops[0]) == item:
                return
            self._zooms.append((rows.tops, item))
            rows.restart(rows.rows[tree.cursor : tree.cursor + 1].copy())
            if not rows.is_open(item):
                rows.open(0)
            tree.anew()
            tree.go(0)

    def _unzoom(self) -> None:
        if self._zooms:
            self._window.rows.restart(self._zooms[0][0])
            self._zooms.clear()

    def action_unzoom(self) -> None:
        """Back to where the zoom began."""
        if (tree := self._at_row()) is not None and self._zooms:
            tops, item = self._zooms.pop()
            tree.window.rows.restart(tops)
            row = tree.window.rows.reveal(item)
            tree.anew()
            tree.go(max(row, 0), middle=True)

    def _jump(self, nodes: Any, step: int, what: str) -> None:
        """To the next of these nodes that can be shown."""
        if (tree := self._at_row()) is None:
            return
        rows = tree.window.rows
        place = next_of(nodes, rows.node(tree.item), step=step)
        for _ in range(min(len(nodes), 10_000)):
            row = rows.reveal(int(nodes[place]))
            if row >= 0:
                tree.anew()
                tree.go(row, middle=True)
                return
            place = (place + step) % len(nodes)
        self.say(f"no {what} in what is shown")

    def _kept(self, name: str, make: Callable[[], Any]) -> Any:
        key = (self._view, name)
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
        if self._at_row() is None:
            return
        if self._pattern and self._view not in self._matches:
            self._search(self._pattern)
        nodes = self._matches.get(self._view)
        if nodes is None:
            self.say("nothing was searched for: / begins")
        else:
            self._jump(nodes, step, f"match of {self._pattern}")

    def action_search(self) -> None:
        """Ask what to search for."""
        if self._at_row() is not None:
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
        if (tree := self._at_row()) is None:
            return False
        try:
            self._matches[self._view] = nodes = named(tree.window.tree, pattern)
        except KfgraphError as problem:
            self.say(problem.message)
            return False
        if pattern != self._pattern:
            self._matches = {self._view: nodes}
        self._pattern = pattern
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
        window, node = tree.window, tree.window.rows.node(tree.item)
        if int(window.tree.at("kind", node)) != NodeKind.CALL:
            return
        label = int(window.tree.label[node])
        found = window.tree.label == label
        count = int(window.tree.at("count", found.nonzero()[0]).sum())
        window.hide(label, True)
        self._hidden.append((label, window.tree.labels[label], count))
        tree.anew()
        tree.go(tree.cursor)

    def action_unhide(self) -> None:
        """Show what was hidden last."""
        if (tree := self._at_row()) is not None and self._hidden:
            label, _, _ = self._hidden.pop()
            tree.window.hide(label, False)
            tree.anew()

    def action_beside(self) -> None:
        """What stands beside the names."""
        if (tree := self._at_row()) is not None:
            at = _BESIDE.index(tree.window.beside) if tree.window.beside in _BESIDE else 0
            tree.window.beside = _BESIDE[(at + 1) % len(_BESIDE)]
            tree.anew()

    def action_start(self) -> None:
        """The column of start times."""
        if (tree := self._at_row()) is not None:
            tree.window.start = not tree.window.start and not tree.window.call_tree.merged
            tree.anew()

    def action_panel(self) -> None:
        """The panel, or not."""
        self._panel = not self.query_one("#side").display
        self._fit()

    async def action_view(self, name: str) -> None:
        """Another view."""
        if name not in self._views:
            rows = await self._made(f"making the view {name}", lambda: self._new_view(name))
            if rows is None:
                return
            await self.query_one("#views").mount(rows)
        self._show(name)

    def _new_view(self, name: str) -> Rows:
        if name == "merged":
            tree: CallTree = call_tree(self.trace, merge=True, **self.filters)
            window = Window(tree)
            if len(window.rows):
                window.rows.open_hot_path(0)
            return self._tree_rows(name, window)
        if name == "why":
            answer = self._answer
            made = lists.said("nothing failed, as far as it was recorded") if answer is None else lists.answered(answer)
        else:
            make = {"top": lists.functions, "syscalls": lists.system_calls, "errors": lists.failures}[name]
            made = make(self.trace, self.filters)
        self._views[name] = rows = ListRows(made, id=f"view-{name}")
        return rows

    def _show(self, name: str) -> None:
        self._view = name
        for other, rows in self._views.items():
            rows.display = other == name
        self.rows.focus()
        self._fit()

    def action_task(self) -> None:
        """Choose a task."""
        self._show("calls")
        self._unzoom()
        tree = self._window.tree
        roots = tree.roots[:2_000]
        choices = [
            Text(f"{format_ns(int(tree.floor_ns[root])):>12}  {spelt_out(tree.labels[tree.label[root]])}", no_wrap=True)
            for root in roots.tolist()
        ]

        def chosen(place: int | None) -> None:
            if place is not None:
                row = self._window.rows.reveal(int(roots[place]))
                self.rows.anew()
                self.rows.go(max(row, 0))
                self.action_zoom()

        title = "Tasks" if self._window.call_tree.by_task else "Matches"
        self.push_screen(PickScreen(title, choices), chosen)

    def action_copy(self) -> None:
        """Copy the call path."""
        if (tree := self._at_row()) is not None:
            path = [spelt_out(name) for name in self._facts[self._view].path(tree.item)]
            self.copy_to_clipboard(";".join(path))
            self.say(f"copied: {' → '.join(path)}" if len(path) < 6 else f"copied: {len(path)} functions")

    def action_export(self) -> None:
        """Ask for a file, and write it."""
        if self._export is None:
            return
        hint = Text("The end of the name says the format, as kfgraph export has it. Escape: nothing is written.", "dim")
        filters = self._in_view()

        async def write(path: str | None) -> None:
            if path and self._export is not None:
                export = self._export
                said = await self._made(f"writing {path}", lambda: export(path, filters))
                if said is not None:
                    self.say(said)

        self.push_screen(AskScreen(f"Write {_described(filters)} into", "kfgraph.json", hint), write)

    def _in_view(self) -> Filters:
        """Filters that leave what is in view: of a zoom, all calls of its function in its task."""
        filters = self.filters.copy()
        rows, tree = self._window.rows, self._window.tree
        if self._zooms:
            top = int(rows.tops[0])
            row = int(tree.row[top])
            if int(tree.at("kind", top)) == NodeKind.TASK:
                filters["task"] = [tree.labels[tree.label[top]]]
            elif row >= 0:
                filters["root"] = [tree.labels[tree.label[top]]]
                filters["task"] = [self.trace.tasks[int(self.trace.calls.lane[row])].label]
        return filters

    def action_help(self) -> None:
        """The keys."""
        self.push_screen(HelpScreen())

    def action_leave(self) -> None:
        """The end."""
        self.exit(0)


def _described(filters: Filters) -> str:
    words: Sequence[str] = [
        f"{name} {', '.join(map(str, value)) if isinstance(value, list | tuple) else value}"
        for name, value in filters.items()
        if value
    ]
    return f"the calls of {'; '.join(words)}" if words else "all calls"
