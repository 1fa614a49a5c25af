"""The explorer: what is on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, Static

from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.filters import Filters
from kfgraph.analyze.lookup import node_of_call
from kfgraph.analyze.visibility import open_root
from kfgraph.analyze.why import Why
from kfgraph.errors import KfgraphError
from kfgraph.model.spelling import spelt_out
from kfgraph.model.trace import Trace
from kfgraph.model.units import format_ns, format_share, plural
from kfgraph.render.cells import cut_middle
from kfgraph.render.explorer import lists
from kfgraph.render.explorer.ascii import Ascii, speaks_ascii_alone
from kfgraph.render.explorer.facts import Facts
from kfgraph.render.explorer.keys import KEYS
from kfgraph.render.explorer.rows import Rows, TreeRows
from kfgraph.render.explorer.window import Window
from kfgraph.render.why import answer_lines

T = TypeVar("T")
Export = Callable[[str, Filters], str]
"""Writes the calls that pass filters into a file; what there is to say about it."""
_AT_ONCE = 300_000
"""In traces with more calls, what looks at all of them is done while the screen lives."""
_PANEL_FROM = 104
"""Columns of a screen that has room for the panel."""
_PANEL = 40
_BESIDE = ((), ("returns",), ("args", "returns"))


class Surface(App[int]):
    """The calls of ``trace`` that pass ``filters``. ``export`` writes files; None: it cannot."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: ansi_default; color: ansi_default; }
    #title, #head, #status, #keys { height: 1; }
    #answer { height: auto; max-height: 2; }
    #body { height: 1fr; }
    #side { width: 40; border-left: solid ansi_bright_black; padding: 0 0 0 1; scrollbar-size-vertical: 1; }
    #facts { height: auto; }
    #line { display: none; height: 1; border: none; padding: 0; background: ansi_default; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding(key.keys, key.action, key.words, show=False, priority=key.action == "leave")
        for _, keys in KEYS
        for key in keys
    ]

    def __init__(self, trace: Trace, filters: Filters, *, export: Export | None = None) -> None:
        super().__init__()
        self.trace, self.filters, self._export = trace, filters, export
        self._path = spelt_out(trace.meta.path or "trace")
        self._window = Window(call_tree(trace, **filters))
        self._facts: dict[str, Facts] = {}
        self._views: dict[str, Rows] = {}
        self._view = "calls"
        self._zooms: list[tuple[Any, int]] = []
        self._hidden: list[tuple[int, str, int]] = []
        self._pattern = ""
        self._matches: dict[str, Any] = {}
        self._cached: dict[tuple[str, str], Any] = {}
        self._panel: bool | None = None
        self._answer: Why | None = None
        self._said = ""
        self._touched = False
        self.theme = "ansi-dark"
        if speaks_ascii_alone():
            self._filters.append(Ascii())

    def compose(self) -> ComposeResult:
        """Title, answer, titles of columns; the rows and the panel; what is said, and keys."""
        yield Static(id="title")
        yield Static(id="answer")
        yield Static(id="head")
        with Horizontal(id="body"):
            with Vertical(id="views"):
                yield self._tree_rows("calls", self._window)
            with VerticalScroll(id="side", can_focus=False):
                yield Static(id="facts")
        yield Input(id="line", compact=True)
        yield Static(id="status")
        yield Static(id="keys")

    def _tree_rows(self, name: str, window: Window) -> TreeRows:
        rows = TreeRows(window, id=f"view-{name}")
        self._views[name], self._facts[name] = rows, Facts(window)
        return rows

    async def on_mount(self) -> None:
        """Open what matters."""
        self.rows.focus()
        if len(self.trace.calls) <= _AT_ONCE:
            self._take(self._explained())
            self._open_what_matters()
        else:
            self._open_what_matters()
            self.run_worker(self._explain_later())
        self._fit()

    async def _explain_later(self) -> None:
        self._take(await asyncio.to_thread(self._explained))
        if not self._touched and self._answer is not None and self._answer.outcome != "nothing":
            self._open_what_matters()
        self._say()

    def _explained(self) -> Why | None:
        try:
            return lists.explained(self.trace, {**self.filters, "root": ()})
        except KfgraphError:
            return None

    def _take(self, answer: Why | None) -> None:
        self._answer = answer

    def _open_what_matters(self) -> None:
        """The failing path, else the hot path, and the cursor on its end."""
        window = self._window
        if not len(window.rows):
            return
        answer = self._answer
        row = -1
        if answer is not None and answer.outcome != "nothing":
            born = answer.birth.step.row if answer.birth is not None else answer.row
            node = node_of_call(window.tree, born) if born >= 0 else -1
            row = window.rows.reveal(node) if node >= 0 else -1
        if row < 0:
            row = window.rows.open_hot_path(window.rows.row_of(open_root(window.tree)))
        view = self._views["calls"]
        view.anew()
        self.call_after_refresh(view.go, row, middle=True)

    @property
    def rows(self) -> Rows:
        """The view that is shown."""
        return self._views[self._view]

    @property
    def tree_rows(self) -> TreeRows | None:
        """The same, where it is a tree."""
        rows = self.rows
        return rows if isinstance(rows, TreeRows) else None

    def on_resize(self) -> None:
        """The panel has room, or not."""
        self._fit()

    def _fit(self) -> None:
        shown = self.size.width >= _PANEL_FROM if self._panel is None else self._panel
        self.query_one("#side").display = shown and self.tree_rows is not None
        self.call_after_refresh(self._say)

    def on_key(self) -> None:
        """From the first key on the cursor is the user's."""
        self._touched = True

    @on(Rows.Moved)
    def _moved(self) -> None:
        self._say()

    def _put(self, name: str, text: Text | str) -> None:
        width = self.size.width
        text = Text(text) if isinstance(text, str) else text
        text.no_wrap = True
        text.truncate(width, overflow="ellipsis")
        self.query_one(f"#{name}", Static).update(text)

    def _say(self) -> None:
        """All that stands around the rows."""
        if not self.query("#title"):
            return
        tree = self.tree_rows
        self._put("title", self._title())
        self._put("head", tree.head() if tree is not None else "")
        self.query_one("#head").display = tree is not None
        lines = self._first_lines()
        self.query_one("#answer").display = bool(lines)
        self.query_one("#answer", Static).update(Text("\n").join(lines))
        self._put("status", self._status())
        keys = Text()
        for _, group in KEYS:
            for key in group:
                if key.footer:
                    keys.append(f" {key.shown.split()[0]} ", "reverse").append(f" {key.footer}  ")
        self._put("keys", keys)
        side = self.query_one("#side")
        if side.display and tree is not None and tree.n_rows():
            text = Text("\n").join(self._facts[self._view].lines(tree.item, _PANEL - 4))
            self.query_one("#facts", Static).update(text)

    def _title(self) -> Text:
        text = Text(f"{cut_middle(str(self._path), max(self.size.width - 50, 12))}", "bold")
        text.append(f"  {self._view}", "not bold")
        tree = self.tree_rows
        if tree is not None:
            text.append(f"  row {self.rows.cursor + 1:,} of {self.rows.n_rows():,}", "not bold dim")
        if self._zooms and tree is not None and len(tree.window.rows.tops):
            top = int(tree.window.rows.tops[0])
            text.append(
                f"  zoom: {spelt_out(tree.window.tree.labels[tree.window.tree.label[top]])} (Z: back)", "not bold"
            )
        return text

    def _first_lines(self) -> list[Text]:
        answer = self._answer
        if answer is not None and answer.outcome != "nothing":
            made = answer_lines(answer, width=self.size.width)
        else:
            made = [self._hot_words()]
        for line in made:
            line.no_wrap = True
            line.truncate(self.size.width, overflow="ellipsis")
        return made[:2]

    def _hot_words(self) -> Text:
        if ("hot", "") not in self._cached:
            tree = self._window.tree
            root = open_root(tree)
            path = self._window.rows.hot_path(root)
            whole = int(tree.floor_ns[root])
            leaf = int(tree.floor_ns[path[-1]])
            share = format_share(leaf / whole) if whole else "?"
            names = [spelt_out(tree.labels[tree.label[one]]) for one in path]
            self._cached["hot", ""] = names, f"{format_ns(leaf)}, {share}"
        names, time = self._cached["hot", ""]
        shown = [names[0], "…", *names[-3:]] if len(names) > 4 else names
        return Text(f"hot path: {' → '.join(shown)}  {time}", "bold")

    def _status(self) -> Text:
        if self._said:
            return Text(spelt_out(self._said))
        said = []
        tree = self.tree_rows
        if tree is not None:
            found = self._matches.get(self._view)
            if found is not None:
                before = int((found <= tree.window.rows.node(tree.item)).sum()) if tree.n_rows() else 0
                said.append(f"/{spelt_out(self._pattern)}: {before:,} of {plural(len(found), 'match')} so far (n, N)")
            if tree.window.rows.by_time:
                said.append("callees by time (t)")
        if self._hidden:
            n = sum(n for _, _, n in self._hidden)
            names = ", ".join(spelt_out(name) for _, name, _ in self._hidden[-3:])
            said.append(f"{plural(n, 'call')} of {names} hidden (u)")
        return Text("  ".join(said), "dim")

    def say(self, text: str) -> None:
        """One sentence in the line above the keys, until the next key."""
        self._said = text
        self._say()
        self._said = ""

    async def _made(self, what: str, make: Callable[[], T]) -> T | None:
        """What ``make`` returns; the screen says what is done meanwhile, and what went wrong."""
        try:
            if len(self.trace.calls) <= _AT_ONCE:
                return make()
            self.say(f"{what} …")
            return await asyncio.to_thread(make)
        except KfgraphError as problem:
            self.say(f"{problem.message}{f' ({problem.hint})' if problem.hint else ''}")
            return None

    def _fatal_error(self) -> None:
        """A bug is told by who runs the explorer, as every command's is."""
        self._close_messages_no_wait()

    @property
    def problem(self) -> Exception | None:
        """The exception that ended it, if one did."""
        return self._exception
