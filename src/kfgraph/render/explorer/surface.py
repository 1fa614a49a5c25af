"""The explorer: what is on the screen."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
from rich.cells import cell_len
from rich.text import Text
from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Input, Static

from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.filters import Filters
from kfgraph.analyze.lookup import expression, node_of_call
from kfgraph.analyze.sourcelinks import SourceLinks
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
from kfgraph.render.explorer.flamerows import FlameRows
from kfgraph.render.explorer.keys import KEYS, Key
from kfgraph.render.explorer.rows import Rows, TreeRows
from kfgraph.render.explorer.scrolled import Panel
from kfgraph.render.explorer.window import Window
from kfgraph.render.why import answer_lines

T = TypeVar("T")
Export = Callable[[str, Filters], str]
"""Writes the calls that pass filters into a file; what there is to say about it."""
ExportText = Callable[[str, Iterable[str]], None]
"""Writes lines into a file."""
_AT_ONCE = 300_000
"""In traces with more calls, what looks at all of them is done while the screen lives."""
_PANEL_FROM = 120
"""Columns of a screen that has room for the panel."""
_PANEL = 40


class Surface(App[int]):
    """The calls of ``trace`` that pass ``filters``. ``export`` writes files; None: it cannot."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: ansi_default; color: ansi_default; }
    #title, #head, #status, #keys { height: 1; }
    #answer { height: auto; max-height: 2; text-wrap: nowrap; text-overflow: clip; }
    #body { height: 1fr; }
    #side { width: 40; border-left: solid ansi_bright_black; padding: 0 0 0 1; }
    #line { display: none; height: 1; border: none; padding: 0; background: ansi_default; }
    """
    BINDINGS = [  # noqa: RUF012
        # Ctrl-C leaves from everywhere; q closes what lies over the rows.
        Binding(one, key.action, key.words, show=False, priority=key.action == "leave" and one != "q")
        for _, keys in KEYS
        for key in keys
        for one in key.keys.split(",")
    ]

    def __init__(
        self,
        trace: Trace,
        filters: Filters,
        *,
        export: Export | None = None,
        export_text: ExportText | None = None,
        links: SourceLinks | None = None,
    ) -> None:
        super().__init__()
        self.trace, self.filters, self._links = trace, filters, links
        self._export, self._export_text = export, export_text
        self._path = spelt_out(trace.meta.path or "trace")
        self._window = Window(call_tree(trace, group_interrupts=True, **filters))
        self._facts: dict[str, Facts] = {}
        self._views: dict[str, Rows] = {}
        self._view = "calls"
        self._chosen_root = ""
        """The label of the root that was chosen: a task, or one match."""
        self._by_task = self._window.call_tree.by_task
        self._n_callers = 0
        self._pattern = ""
        self._matches: dict[str, Any] = {}
        self._cached: dict[tuple[str, str], Any] = {}
        self._panel: bool | None = None
        self._answer: Why | None = None
        self._texts: dict[Static, Text] = {}
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
            yield self._tree_rows("calls", self._window)
            yield Panel(id="side")
        yield Input(id="line", compact=True)
        yield Static(id="status")
        yield Static(id="keys")

    def _tree_rows(self, name: str, window: Window, *, id: str = "") -> TreeRows:
        rows = TreeRows(window, id=id or f"view-{name}")
        self._views[name], self._facts[name] = rows, Facts(window, self._links)
        return rows

    async def on_mount(self) -> None:
        """Open what matters."""
        self.rows.focus()
        if len(self.trace.calls) <= _AT_ONCE:
            self._take(self._explained())
            self._open_what_matters()
        else:
            self._open_what_matters()
            # What matters first is the first frame.
            self.call_after_refresh(lambda: self.run_worker(self._explain_later()))
        self._fit()

    async def _explain_later(self) -> None:
        self._take(await self._aside(self._explained))
        if not self._touched and self._answer is not None and self._answer.outcome != "nothing":
            self._window.rows.close_everything()
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
        view.cursor = row
        view.anew()
        # Keys that were typed before the first refresh move the cursor on.
        self.call_after_refresh(lambda: view.go(view.cursor, middle=True))

    @property
    def rows(self) -> Rows:
        """The view that is shown."""
        return self._views[self._view]

    @property
    def tree_rows(self) -> TreeRows | None:
        """The same, where it is a tree."""
        rows = self.rows
        return rows if isinstance(rows, TreeRows) else None

    def on_resize(self, event: events.Resize) -> None:
        """The panel has room, or not."""
        self._fit(event.size.width)

    def _fit(self, width: int = 0) -> None:
        # While a resize is told, size is still what it was.
        shown = (width or self.size.width) >= _PANEL_FROM if self._panel is None else self._panel
        self.query_one("#side").display = shown and self.tree_rows is not None

    async def on_event(self, event: events.Event) -> None:
        """From the first key on the cursor is the user's; what was said has been read."""
        # Not on_key: keys with a binding do not come there.
        if isinstance(event, (events.Key, events.MouseDown)):
            self._touched, self._said = True, ""
        await super().on_event(event)

    @on(Rows.Moved)
    def _moved(self) -> None:
        self._say()

    def _put(self, name: str, text: Text | str) -> None:
        width = self.size.width
        text = Text(text) if isinstance(text, str) else text
        text.no_wrap = True
        text.truncate(width, overflow="ellipsis")
        self._update(name, text)

    def _update(self, name: str, text: Text) -> None:
        """Put a text into a widget. What it says already is not drawn again; with as many lines nothing moves."""
        widget = self.query_one(f"#{name}", Static)
        before, self._texts[widget] = self._texts.get(widget), text
        if before is None or (before, before.style) != (text, text.style):
            widget.update(text, layout=before is None or before.plain.count("\n") != text.plain.count("\n"))

    def _say(self) -> None:
        """All that stands around the rows."""
        if not self.query("#title"):
            return
        tree = self.tree_rows
        self._put("title", self._title())
        if tree is None or tree.size:  # else it comes with its size
            self._put("head", tree.head() if tree is not None else "")
        self.query_one("#head").display = tree is not None
        lines = self._first_lines()
        self.query_one("#answer").display = bool(lines)
        self._update("answer", Text("\n").join(lines))
        self._put("status", self._status())
        self._put("keys", self._keys())
        side = self.query_one(Panel)
        if side.display and tree is not None and tree.n_rows():
            side.tell(self._facts[self._view].lines(tree.item, _PANEL - 4))

    def _keys(self) -> Text:
        """The keys that have room, those that leave and list them first to be kept."""
        shown = [key for _, group in KEYS for key in group if key.footer]
        last = [key for key in shown if key.action in ("help", "leave")]
        first = [key for key in shown if key not in last]

        def width(keys: list[Key]) -> int:
            return sum(cell_len(key.shown.split()[0]) + cell_len(key.footer) + 5 for key in keys)

        while first and width([*first, *last]) > self.size.width:
            first.pop()
        text = Text()
        for key in [*first, *last]:
            text.append(f" {key.shown.split()[0]} ", "reverse").append(f" {key.footer}  ")
        return text

    def _title(self) -> Text:
        text = Text(f"  {self._view}")
        tree = self.tree_rows
        if tree is not None:
            text.append(f"  row {self.rows.cursor + 1:,} of {self.rows.n_rows():,}", "dim")
        elif isinstance(self.rows, FlameRows):
            flame, top = self.rows.flame, self.rows.zoomed
            text.append(f"  {plural(len(flame), 'frame')}", "dim")
            if top >= 0:
                text.append(f"  zoom: {spelt_out(flame.labels[int(flame.label[top])])} (Z: back)")
        if self._chosen_root:
            text.append(f"  {spelt_out(self._chosen_root)} (T: others)")
        if tree is not None and tree.window.zooms and len(tree.window.rows.tops):
            labels, top = tree.window.tree.labels, int(tree.window.rows.tops[0])
            text.append(f"  zoom: {spelt_out(labels[tree.window.tree.label[top]])} (Z: back)")
        return Text.assemble((cut_middle(self._path, max(self.size.width - text.cell_len, 12)), "bold"), text)

    def _first_lines(self) -> list[Text]:
        answer, made = self._answer, []
        if answer is not None and answer.outcome != "nothing":
            made = answer_lines(answer, width=self.size.width)
        made = made or [self._hot_words()]
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
        tree, rows = self.tree_rows, self.rows
        if isinstance(rows, FlameRows):
            said.append(rows.told())
        if tree is None and self._pattern:
            places = rows.matching(expression(self._pattern))
            before = int(np.searchsorted(places, rows.cursor, side="right"))
            said.append(f"/{spelt_out(self._pattern)}: {before:,} of {plural(len(places), rows.noun)} (n, N)")
        if tree is not None:
            window = tree.window
            found = self._matches.get(self._view)
            if found is not None:
                shown = found[window.rows.reachable(found)]
                before = int(np.searchsorted(shown, window.rows.node(tree.item), side="right")) if tree.n_rows() else 0
                more = len(found) - len(shown)
                beside = f", {more:,} more not in what is shown" if more else ""
                said.append(f"/{spelt_out(self._pattern)}: {before:,} of {plural(len(shown), 'match')}{beside} (n, N)")
            if window.rows.by_time:
                said.append("callees by time (t)")
            if window.hidden:
                labels, last = window.tree.labels, window.hidden[-3:]
                names = ", ".join(spelt_out(labels[label]) for label, _ in reversed(last))
                names += ", …" if len(window.hidden) > len(last) else ""
                said.append(f"{plural(sum(n for _, n in window.hidden), 'call')} of {names} hidden (u)")
        return Text("  ".join(said), "dim")

    def say(self, text: str) -> None:
        """One sentence in the line above the keys, until the next key."""
        self._said = text
        self._say()

    async def _made(self, what: str, make: Callable[[], T]) -> T | None:
        """What ``make`` returns; the screen says what is done meanwhile, and what went wrong."""
        try:
            if len(self.trace.calls) <= _AT_ONCE:
                return make()
            self.say(f"{what} …")
            made = await self._aside(make)
            self.say("")
            return made
        except KfgraphError as problem:
            self.say(f"{problem.message}{f' ({problem.hint})' if problem.hint else ''}")
            return None

    async def _aside(self, make: Callable[[], T]) -> T:
        """What ``make`` returns, made in a thread that nobody waits for at the end."""
        loop = asyncio.get_running_loop()
        made: asyncio.Future[T] = loop.create_future()

        def settle(set_: Callable[[Any], None], value: Any) -> None:
            if not made.done():
                set_(value)

        def run() -> None:
            try:
                tell: tuple[Callable[[Any], None], Any] = made.set_result, make()
            except Exception as problem:
                tell = made.set_exception, problem
            with contextlib.suppress(RuntimeError):  # the explorer has ended
                loop.call_soon_threadsafe(settle, *tell)

        threading.Thread(target=run, name="kfgraph-aside", daemon=True).start()
        return await made

    def _fatal_error(self) -> None:
        """A bug is told by who runs the explorer, as every command's is."""
        self._close_messages_no_wait()

    @property
    def problem(self) -> Exception | None:
        """The exception that ended it, if one did."""
        return self._exception
