"""The explorer: its views, which task they are of, and what leaves it: a call path, a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.text import Text

from kfgraph.analyze.callers import callers
from kfgraph.analyze.calltree import CallTree, call_tree
from kfgraph.analyze.filters import Filters, declared
from kfgraph.analyze.flame import Flame, flame
from kfgraph.analyze.lookup import node_of_call, slowest_of
from kfgraph.model.calls import Flag
from kfgraph.model.spelling import shell_word, spelt_out
from kfgraph.model.tree import NodeKind
from kfgraph.model.units import format_ns, plural
from kfgraph.render.explorer import lists
from kfgraph.render.explorer.flamerows import FlameRows
from kfgraph.render.explorer.rows import ListRows, Rows, TreeRows
from kfgraph.render.explorer.screens import AskScreen, HelpScreen, PickScreen
from kfgraph.render.explorer.surface import Surface
from kfgraph.render.explorer.window import Window
from kfgraph.render.flame.svg import drawing, svg

_MOST_CHOICES = 2_000
_TEXT, _DRAWING = ".txt", ".svg"


class Views(Surface):
    """Switches views and tasks."""

    async def action_view(self, name: str) -> None:
        """Another view."""
        if name not in self._views:
            rows = await self._made(f"making the view {name}", lambda: self._new_view(name))
            if rows is None:
                return
            await self.query_one("#body").mount(rows, before="#side")
        self._show(name)

    async def action_callers(self) -> None:
        """Who calls the function at the cursor, upside down to the task."""
        function = self._function()
        if not function:
            self.say("this row is no function: 8 shows the callers of one")
            return
        old = self._views.get("callers")
        rows = await self._made(f"looking for the callers of {function}", lambda: self._callers_of(function))
        if rows is not None:
            if old is not None:
                await old.remove()
            await self.query_one("#body").mount(rows, before="#side")
            self._show("callers")

    def _callers_of(self, function: str) -> Rows:
        filters: Filters = self._chosen()
        window = Window(callers(self.trace, function, **filters))
        self._matches.pop("callers", None)
        self._n_callers += 1
        rows = self._tree_rows("callers", window, id=f"view-callers-{self._n_callers}")
        rows.cursor = window.rows.open_hot_path(0)
        return rows

    def _function(self) -> str:
        """The label of the function at the cursor; none: there is no function."""
        tree, rows = self.tree_rows, self.rows
        if tree is not None:
            label = tree.window.function_at(tree.item) if tree.n_rows() else -1
            return tree.window.tree.labels[label] if label >= 0 else ""
        if isinstance(rows, FlameRows):
            return rows.path()[-1] if len(rows.flame) and rows.path()[-1] in self.trace.symbols.labels else ""
        target = rows.target if isinstance(rows, ListRows) else -1
        if isinstance(target, str):
            return target
        return self.trace.symbols.labels[int(self.trace.calls.func[target])] if target >= 0 else ""

    def _new_view(self, name: str) -> Rows:
        if name == "merged":
            tree: CallTree = call_tree(self.trace, merge=True, group_interrupts=True, **self.filters)
            window = Window(tree)
            self._limit(window)
            rows = self._tree_rows(name, window)
            if len(window.rows):
                rows.cursor = window.rows.open_hot_path(0)
            return rows
        if name == "flame":
            filters: Filters = self._chosen()
            graph = flame(self.trace, by="time", **filters)
            self._views[name] = frames = FlameRows(graph, id="view-flame")
            return frames
        if name == "why":
            answer = self._answer
            made = lists.said("nothing failed, as far as it was recorded") if answer is None else lists.answered(answer)
        else:
            make = {"top": lists.functions, "syscalls": lists.system_calls, "errors": lists.failures}[name]
            made = make(self.trace, self._chosen())
        self._views[name] = rows_ = ListRows(made, id=f"view-{name}")
        return rows_

    def _show(self, name: str) -> None:
        self._view = name
        for other, rows in self._views.items():
            rows.display = other == name
        self.rows.focus()
        self._fit()
        self._say()

    def _go_to(self, target: lists.Target) -> None:
        """Show a call in the view of calls."""
        window = self._window
        node = self._node_of(target)
        row = window.rows.reveal(node) if node >= 0 else -1
        if row < 0 and node >= 0:
            window.unzoom(wholly=True)
            row = window.rows.reveal(node)
        if row < 0:
            self.say("this call is not among those that are shown")
            return
        self._show("calls")
        self.rows.anew()
        self.rows.go(row, middle=True)

    def _node_of(self, target: lists.Target) -> int:
        tree = self._window.tree
        return slowest_of(tree, target) if isinstance(target, str) else node_of_call(tree, target)

    async def action_task(self) -> None:
        """Choose a task."""
        tree, by_task = self._window.tree, self._window.call_tree.by_task
        roots = tree.roots[:_MOST_CHOICES]
        whole = "all tasks" if by_task else "all matches"
        words = [(int(tree.floor_ns[tree.roots].sum()), f"{whole} ({len(tree.roots):,})")]
        words += [(int(tree.floor_ns[root]), tree.labels[tree.label[root]]) for root in roots.tolist()]
        choices = [Text(f"{format_ns(ns):>12}  {spelt_out(name)}", no_wrap=True) for ns, name in words]

        async def chosen(place: int | None) -> None:
            if place is not None:
                await self._choose(roots[place - 1 : place] if place else tree.roots, by_task=by_task)

        await self.push_screen(PickScreen("Tasks" if by_task else "Matches", choices), chosen)

    async def _choose(self, roots: Any, *, by_task: bool) -> None:
        tree = self._window.tree
        everything = len(roots) == len(tree.roots)
        self._chosen_root = "" if everything else tree.labels[tree.label[roots[0]]]
        self._by_task = by_task
        for name, rows in list(self._views.items()):
            if isinstance(rows, TreeRows) and name != "callers":
                self._limit(rows.window, roots if name == "calls" else None)
                if len(rows.window.rows.tops) == 1:
                    rows.window.rows.open(0)
                rows.anew()
                rows.go(0)
            elif by_task and name != "why":
                del self._views[name]
                await rows.remove()
        self._matches.clear()
        await self.action_view("calls" if self._view not in self._views and self._view == "callers" else self._view)

    def _limit(self, window: Window, roots: Any = None) -> None:
        """Leave of a tree what is of the task that was chosen."""
        tree = window.tree
        if roots is None:
            labels = np.array([label == self._chosen_root for label in tree.labels], np.bool_)
            roots = tree.roots[labels[tree.label[tree.roots]]] if self._chosen_root and self._by_task else tree.roots
        window.choose(roots)

    def _chosen(self) -> Filters:
        """The filters, and the task that was chosen."""
        return {**self.filters, **({"task": [self._chosen_root]} if self._chosen_root and self._by_task else {})}

    def action_copy(self) -> None:
        """Copy the call path."""
        tree, rows = self.tree_rows, self.rows
        if tree is not None:
            if not tree.n_rows():
                return
            path = self._facts[self._view].path(tree.item)
            if tree.window.call_tree.of_callers:
                path.reverse()
        elif isinstance(rows, FlameRows):
            path = rows.path()
            if not path:
                return
        else:
            target = rows.target if isinstance(rows, ListRows) else -1
            node = self._node_of(target) if target != -1 else -1
            if node < 0:
                self.say("this line is not about a call")
                return
            path = [target] if isinstance(target, str) else self._facts["calls"].path(node)
        names = [spelt_out(name) for name in path]
        self.copy_to_clipboard(";".join(names))
        self.say(f"copied: {' → '.join(names)}" if len(names) < 6 else f"copied: {len(names)} functions")

    async def action_export(self) -> None:
        """Ask for a file, and write it."""
        if self._export is None:
            return
        hint = Text(
            "The end of the name says the format, as kfgraph export has it; .txt: the rows of this view as they are "
            "shown; .svg: a flame graph. Escape: nothing is written.",
            "dim",
        )
        filters, hidden = self._in_view()

        async def write(path: str | None) -> None:
            if path == "-":
                self.say("standard output is this screen: name a file")
            elif path and self._export is not None:
                export, path = self._export, str(Path(path).expanduser())
                rows = self.rows
                make: Callable[[], str]
                if path.endswith(_TEXT):
                    make = lambda: self._write_rows(path)  # noqa: E731
                elif path.endswith(_DRAWING):
                    make = lambda: self._write_drawing(path, rows, filters)  # noqa: E731
                else:
                    make = lambda: export(path, filters)  # noqa: E731
                said = await self._made(f"writing {path}", make)
                if said is not None:
                    self.say(said)

        name = f"kfgraph{_DRAWING if isinstance(self.rows, FlameRows) else '.json'}"
        also = f", with {plural(hidden, 'call')} hidden here" if hidden else ""
        await self.push_screen(AskScreen(f"Write {_described(filters)}{also} into", name, hint), write)

    def _write_drawing(self, path: str, rows: Rows, filters: Filters) -> str:
        assert self._export_text is not None
        graph: Flame = rows.flame if isinstance(rows, FlameRows) else flame(self.trace, by="time", **filters)
        drawn = drawing(graph, links=self._links)
        self._export_text(path, [svg(drawn).removesuffix("\n")])
        narrow = f" ({plural(drawn.n_left_out, 'frame')} too narrow to be drawn)" if drawn.n_left_out else ""
        return f"wrote {path}: a flame graph, for a browser{narrow}"

    def _write_rows(self, path: str) -> str:
        assert self._export_text is not None
        rows = self.rows
        n, width = rows.n_rows(), max(rows.room, 100)
        tree = self.tree_rows
        head = [tree.head(width).plain] if tree is not None else []
        self._export_text(path, (line for part in (head, rows.texts(width)) for line in part))
        return f"wrote {path}: {plural(n, 'row')} of the view {self._view}"

    def _in_view(self) -> tuple[Filters, int]:
        """(filters that leave what is in view: of a zoom that call, of a merged one all calls of its function in its
        task; how many calls of that are hidden)."""
        filters: Filters = self._chosen()
        rows = self.tree_rows
        if rows is None:
            return filters, 0
        window = rows.window
        hidden = sum(count for _, count in window.hidden)
        tree = window.tree
        if not window.zooms or not len(window.rows.tops):
            return filters, hidden
        top = int(window.rows.tops[0])
        label = tree.labels[tree.label[top]]
        if int(tree.at("kind", top)) == NodeKind.TASK:
            filters["task"] = [label]
            return filters, hidden
        filters["root"] = [label]
        root = top
        while int(tree.parent[root]) >= 0:
            root = int(tree.parent[root])
        if int(tree.at("kind", root)) == NodeKind.TASK:
            filters["task"] = [tree.labels[tree.label[root]]]
        if int(tree.at("kind", top)) == NodeKind.INTERRUPT:
            # No function is all of it: the interrupts of its task.
            del filters["root"]
            filters["irq"] = True
            return filters, hidden
        row, calls, first = int(tree.row[top]), self.trace.calls, self.trace.meta.first_ns
        if row >= 0:
            filters["task"] = [self.trace.tasks[int(calls.lane[row])].label]
            start, duration = int(calls.start_ns[row]), int(calls.duration_ns[row])
            if start >= first >= 0 and duration >= 0 and not int(calls.flags[row]) & Flag.IN_TRACER:
                filters["from_s"] = max((start - first) / 1e9, filters.get("from_s") or 0)
                end, until = (start - first + max(duration, 1)) / 1e9, filters.get("to_s")
                filters["to_s"] = end if until is None else min(end, until)
        return filters, hidden

    async def action_help(self) -> None:
        """The keys."""
        await self.push_screen(HelpScreen())

    def action_leave(self) -> None:
        """The end."""
        self.exit(0)


def _described(filters: Filters) -> str:
    """What these filters leave, as options of ``kfgraph export``."""
    words = []
    for name, value in filters.items():
        option = declared()[name].filter.option
        for one in value if isinstance(value, list | tuple) else [value]:
            if one is True:
                words.append(option)
            elif one not in (None, False, ""):
                words.append(f"{option} {shell_word(str(one))}")
    return f"the calls of {' '.join(words)}" if words else "all calls"
