"""A call tree on a terminal or in a file: title, rows, legend, and what is not shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from rich.color import ColorSystem
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.cost_rows import UnseenCost, with_own_cost
from kfgraph.analyze.event_rows import EVENT_ROWS, event_nodes, n_without_place, with_events, with_losses
from kfgraph.analyze.fold import fold
from kfgraph.analyze.tree_errors import failed, seems_failed
from kfgraph.analyze.tree_rows import Folded, Kind
from kfgraph.analyze.visibility import FoldOptions, Why, open_root
from kfgraph.analyze.waiting_functions import waiting_functions
from kfgraph.analyze.wakers import Wakers
from kfgraph.analyze.works import Works
from kfgraph.errors import UsageError
from kfgraph.model.arrays import distinct
from kfgraph.model.spelling import spelt_out
from kfgraph.model.tree import NodeKind
from kfgraph.model.units import format_ns, plural
from kfgraph.render import blocks
from kfgraph.render.details import unseen_cost_text
from kfgraph.render.estimates import estimate_lines
from kfgraph.render.legend import legend
from kfgraph.render.linked import Linked, on_a_terminal
from kfgraph.render.rowmodel import FLAG_MARKS, NAME_LEAST, NAME_WANTED, Layout, Line, RowModel
from kfgraph.render.rowvalues import TIMES, RowValues
from kfgraph.render.styles import STYLES
from kfgraph.render.waysback import not_shown, opening, ways_back
from kfgraph.render.wrapping import filled, in_cells, with_command, wrapped

if TYPE_CHECKING:
    from kfgraph.analyze.callsites import CallSites
    from kfgraph.analyze.sourcelinks import SourceLinks

_CHUNK = 32_768
_ANY_WIDTH = 10_000
_TREE_ROOM = 36
"""With less room for the tree, times have one decimal; with still less, columns of numbers go."""
_NAME_ROOM = 24
"""Guides leave a name this much, or half of what there is where that is little."""
_NAME_ENOUGH = 16
"""So much of the name of a function that failed, where NAME_WANTED is not to be had."""
_AVERAGE_ROOM = 56
"""With less room for the tree, an overview has no averages."""
_LESS_THAN_A_NAME = ("calls", "share")
_LEAST_GUIDES = 6
"""Beside an error, guides have at least this much."""
_DEEPEST = 100

Pieces = list[tuple[str, str]]
"""(text, name of a style) one after another: one line."""

_SYSTEMS = {"standard": ColorSystem.STANDARD, "256": ColorSystem.EIGHT_BIT, "truecolor": ColorSystem.TRUECOLOR}


@dataclass(frozen=True, eq=False, repr=False)
class TreeView:
    """``folded`` rows of ``call_tree`` for ``width`` columns (None: no limit).

    A rich renderable (then the console's width counts); ``plain`` gives the same text without styles,
    fast. ``start`` adds the column of start times. ``events`` were asked for, ``n_events_hidden`` others
    are not shown; ``options`` are what the rows were folded by; ``unseen_cost`` is kfgraph's own that has no row.
    ``beside`` are what stands beside the names (``rowvalues.WORDS``). ``overview``: it is merged unasked;
    ``n_losses_beside`` places where records were lost have none in it. Not ``mergeable``: single calls were asked for.
    ``links``: where the names of functions lead, on a terminal. ``above``: lines that stand before all. ``sites``: file
    and line of calls.
    """

    call_tree: CallTree
    folded: Folded
    width: int | None = None
    start: bool = False
    events: tuple[str, ...] = ()
    n_events_hidden: int = 0
    options: FoldOptions = field(default_factory=FoldOptions)
    unseen_cost: UnseenCost | None = None
    beside: tuple[str, ...] = ()
    overview: bool = False
    n_losses_beside: int = 0
    mergeable: bool = True
    links: SourceLinks | None = None
    above: tuple[str, ...] = ()
    sites: CallSites | None = None

    def __len__(self) -> int:
        return len(self.folded)

    @cached_property
    def model(self) -> RowModel:
        """The rows at this width."""
        folded, tree, trace = self.folded, self.folded.tree, self.call_tree.trace
        start_ns = None
        if self.start:
            calls = trace.calls
            first = trace.meta.first_ns if trace.meta.first_ns >= 0 else int(calls.start_ns.min(initial=0))
            at = calls.start_ns[tree.row] if len(calls) else np.zeros(len(tree), np.int64)
            start_ns = np.where(tree.row < 0, blocks.BLANK, np.where(at < 0, blocks.UNKNOWN, at - first))
        before, after = self._around_roots()
        options = {why: option for why, (option, _) in self._ways_back.items()}
        root_noun = "task" if self.call_tree.by_task else "match"
        return RowModel(
            folded, self._layout(start_ns), start_ns, before, after, options, opening(self.call_tree, folded),
            root_noun, trace.meta.arch, self._values, Wakers.of(trace), waiting_functions(trace),
            works=None if self.call_tree.merged else Works.of(trace),
        )  # fmt: skip

    @cached_property
    def _values(self) -> RowValues | None:
        trace = self.call_tree.trace
        # Of the function tracer, the callers are what was recorded.
        words = (*self.beside, "caller") if trace.meta.details.get("tracer") == "function" else self.beside
        if self.sites is not None and "site" in words:
            shown = self.folded.tree.row[self.folded.node[self.folded.kind == Kind.CALL]]
            self.sites.look_for(shown[shown >= 0])
        return RowValues(trace, self.folded.tree, words, self.sites) if words else None

    def _around_roots(self) -> tuple[dict[int, str], dict[int, str]]:
        """What stands before and behind the names of several matches: their number and task."""
        shown, nth = self.call_tree, self.call_tree.nth
        tree = self.folded.tree
        tasks = self._before_tasks()
        if len(nth) < 2:
            return tasks, {}
        lanes = shown.trace.calls.lane[tree.row[tree.roots]]
        several = len(distinct(lanes)) > 1
        width = len(str(int(nth.max())))
        before = {int(root): f"#{n:<{width}} " for root, n in zip(tree.roots, nth.tolist(), strict=True)}
        after = {
            int(root): f"  {spelt_out(shown.trace.tasks[int(lane)].label)}"
            for root, lane in zip(tree.roots, lanes, strict=True)
            if several
        }
        return tasks | before, after

    def _before_tasks(self) -> dict[int, str]:
        """What stands before the names of tasks: the names that they had before, and what they are below calls."""
        tree, tasks = self.folded.tree, self.call_tree.trace.tasks
        found = dict.fromkeys(tree.tasks_below.tolist(), "task ")
        if any(task.formerly for task in tasks.tasks) and tree.has("kind"):
            for node in np.flatnonzero(np.isin(tree.kind, (NodeKind.TASK, NodeKind.MADE))).tolist():
                history = tasks[int(tree.label[node]) - len(self.call_tree.trace.symbols)].history
                found |= {node: found.get(node, "") + spelt_out(history)} if history else {}
        return found

    def _layout(self, start_ns: np.typing.NDArray[np.int64] | None) -> Layout:
        tree = self.folded.tree
        level = int(self.folded.level.max(initial=0))
        # A tree of single calls stores no counts.
        counts = tree.count if tree.has("count") else np.ones(1, np.int64)
        count_width = blocks.count_width(np.append(counts, self.folded.hidden_calls))
        names = ["start"] if start_ns is not None else []
        own = [] if self.call_tree.of_callers else ["self"]
        told = {name: tree.has("irq_ns" if name == "irq" else "asleep_ns") for name in TIMES}
        columns = [name for name in TIMES if name in self.beside and told[name]]
        estimated = ["uncertain"] if tree.has("tracer_ns") else []
        names += ["total", *estimated, *own, *columns, *(["avg"] if self.call_tree.merged else []), "share", "calls"]
        widths = {"start": 0 if start_ns is None else blocks.second_width(start_ns), "share": 6, "calls": count_width}

        def room(names: list[str], time_width: int) -> int:
            times = dict.fromkeys(("uncertain", "self", "avg", *TIMES), time_width)
            wide = {**widths, "total": time_width + 2, **times}
            return (self.width or 0) - sum(wide[name] + 1 for name in names) - (1 if names else 2)

        digits, longest = 3, np.array([tree.floor_ns.max(initial=0), self.folded.hidden_ns.max(initial=0)], np.int64)
        time_width = blocks.time_width(longest, digits)
        if self.width is None:
            return Layout(tuple(names), digits, time_width, count_width, None, 2, _DEEPEST)
        if room(names, time_width) < _TREE_ROOM:
            digits, time_width = 1, blocks.time_width(longest, 1)
        spare = [("share", 32), ("self", 20)] if self.call_tree.merged else [("calls", 32), ("self", 24)]
        less_than_a_name: tuple[str, ...] = _LESS_THAN_A_NAME
        if self.overview:
            spare, less_than_a_name = [("avg", _AVERAGE_ROOM), ("calls", 32), ("self", 24)], ("avg", *_LESS_THAN_A_NAME)
        for name, least in [*spare, ("uncertain", 16)]:
            if name in names and room(names, time_width) < least:
                names.remove(name)
        # Where that helps, columns of numbers go and guides get narrow for whole names of what failed.
        most = room([name for name in names if name not in less_than_a_name], time_width)
        loose = self._room_of_errors(2, NAME_WANTED)
        tries = (loose, self._room_of_errors(1, NAME_WANTED), self._room_of_errors(1, _NAME_ENOUGH))
        wanted = next((columns for columns in tries if columns <= most), 0)
        for name in less_than_a_name:
            if name in names and room(names, time_width) < wanted:
                names.remove(name)
        # An error stays where the name is cut, and then where columns of numbers are left out.
        beside_error = self._widest_error() + NAME_LEAST
        for name in ("calls", "avg", "share", "uncertain", "self", "start", "total"):
            if name in names and beside_error > NAME_LEAST and room(names, time_width) < beside_error + _LEAST_GUIDES:
                names.remove(name)
        left = max(room(names, time_width), 8)
        for_name = max(_NAME_ROOM, beside_error + 1)
        for_guides = max(left - (for_name if left >= for_name + 8 else max(left // 2, beside_error + 1)), 1)
        unit = 1 if 2 * level > for_guides or (wanted and loose > left) else 2
        return Layout(tuple(names), digits, time_width, count_width, left, unit, max(for_guides // unit, 1))

    @cached_property
    def _failed(self) -> list[tuple[int, int, int]]:
        """(level, columns of the name, columns of the error behind it) of the rows whose calls returned an error."""
        folded, tree = self.folded, self.folded.tree
        rows = np.flatnonzero(folded.kind == Kind.CALL)
        rows = rows[tree.error[folded.node[rows]] != 0] if tree.has("error") else rows[:0]
        bare = RowModel(folded, Layout((), 0, 0, 0, None, 1, 1), arch=self.call_tree.trace.meta.arch)
        nodes = zip(folded.level[rows].tolist(), folded.node[rows].tolist(), strict=True)
        return [(level, len(tree.labels[tree.label[node]]), len(bare.error(node))) for level, node in nodes]

    def _widest_error(self) -> int:
        """How wide the longest error behind a name is."""
        return max((error for _, _, error in self._failed), default=0)

    def _room_of_errors(self, unit: int, whole: int) -> int:
        """Columns in which the rows that failed have ``whole`` columns of their names."""
        widths = [unit * level + 2 + min(name, whole) + error for level, name, error in self._failed]
        return max(widths, default=0)

    def title(self) -> list[str]:
        """What stands above, and what the tree is of; nothing for tasks."""
        width = self.width or _ANY_WIDTH
        # A name that is wider than the screen goes on below; a command stays whole.
        above = [line for said in self.above for line in wrapped(said, width, commands=True)]
        lines = [line for said in self._titles() for line in wrapped(said, width, options=True)]
        return above + [part for line in lines for part in in_cells(line, width)]

    def _titles(self) -> list[str]:
        """What the tree is of, each sentence on a line."""
        shown, tree = self.call_tree, self.folded.tree
        if shown.by_task or not len(tree):
            return []
        trace = shown.trace
        if shown.of_callers:
            functions = " and ".join(spelt_out(tree.labels[label]) for label in tree.label[tree.roots[:3]].tolist())
            more = " and others" if len(tree.roots) > 3 else ""
            return [f"{plural(int(tree.count[tree.roots].sum()), 'call')} of {functions}{more}, by their callers"]
        if shown.merged:
            return [f"{plural(int(tree.count[tree.roots].sum()), 'call')} merged"]
        if len(shown.matches) == 1 or len(shown.nth) == 1:
            root = int(tree.roots[0])
            row = int(tree.row[root])
            task = trace.tasks[int(trace.calls.lane[row])]
            words = [task.history + task.label]
            if trace.calls.cpu[row] >= 0:
                words.append(f"CPU {trace.calls.cpu[row]}")
            if trace.calls.start_ns[row] >= 0 and trace.meta.first_ns >= 0:
                words.append(f"{(trace.calls.start_ns[row] - trace.meta.first_ns) / 1e9:.6f} s after the start")
            which = f"match {shown.nth[0]} of {len(shown.matches):,}: " if len(shown.matches) > 1 else ""
            return [spelt_out(which + ", ".join(words))]
        total = int(tree.floor_ns[tree.roots].sum())
        if len(shown.nth) < len(shown.matches):
            return [f"the slowest {len(shown.nth):,} of {plural(len(shown.matches), 'match')}: {format_ns(total)}"]
        said = f"{plural(len(shown.matches), 'match')}, {format_ns(total)}"
        root = open_root(shown.tree)
        closed = self.options.open_roots == "one" and not (self.options.calls_to or self.options.errors)
        if closed and seems_failed(shown.tree)[root]:
            nth = int(shown.nth[np.searchsorted(shown.tree.roots, root)])
            how = "failed" if failed(shown.tree)[root] else "seems to have failed"
            said += f", open: #{nth}, the first that {how}"
        return [f"{said} (--nth N, --slowest N, --merge)"]

    def legend(self) -> list[str]:
        """What the marks that stand on the rows mean."""
        return [line for words in legend(self.call_tree, self.model) for line in filled(words, self.width)]

    def summary(self) -> list[str]:
        """What is not shown, and what brings it back."""
        folded = self.folded
        said = not_shown(self.call_tree, folded, self.options, self._ways_back, may_merge=self._may_merge)
        if n_losses := int(folded.hidden_losses.sum()):
            said.append(f"records were lost at {plural(n_losses, 'place')} inside calls that are not shown")
        if self.n_losses_beside:
            said.append(f"records were lost at {plural(self.n_losses_beside, 'place')}: --calls shows where")
        if self.call_tree.n_hidden:
            said.append(f"{plural(self.call_tree.n_hidden, 'call')} taken out by --hide, their time is their callers'")
        if self.unseen_cost:
            said.append(unseen_cost_text(self.unseen_cost))
        after: list[str] = []
        if n_events := int(folded.hidden_events.sum()):
            # Their roots have no row, only a count.
            option, does = self._ways_back[Why(int(folded.why[folded.hidden_events > 0].max()))]
            after.append(f"{plural(n_events, 'event')} inside calls that are not shown: {option} {does}")
        elif self.events and not (folded.kind == Kind.EVENT).any():
            after.append(f"no {' or '.join(self.events)} event happened in these calls")
        if self._values is not None and self._values.missing:
            after.append(f"nothing of {', '.join(self._values.missing)} was recorded in this trace")
        if n := self.call_tree.n_makers_unknown:
            after.append(f"nothing tells which call made {plural(n, 'task')}: below no call")
        if self.overview:
            after.append("calls of one path are one row: --calls shows single calls, in the order of time")
        if self.n_events_hidden:
            after.append(f"{plural(self.n_events_hidden, 'other event')} not shown: -e '*' shows them")
        width = self.width or _ANY_WIDTH
        estimated, above, below = (
            [line for words in part for line in wrapped(spelt_out(words), width, options=True)]
            for part in (estimate_lines(self.call_tree), said, after)
        )
        return [*estimated, *above, *self._more_failed(width), *below]

    def _more_failed(self, width: int) -> list[str]:
        """How many calls that failed, or seem to have, are on no row, and what lists them."""
        n_sure = self.folded.n_errors_hidden
        n_unsure = self.folded.n_unsure_hidden + self.call_tree.selection.n_seem_failed
        said = [f"{n_sure:,} more failed"] if n_sure else []
        if n_unsure:
            said.append(f"{n_unsure:,} more seem{'s' if n_unsure == 1 else ''} to have{'' if n_sure else ' failed'}")
        if not said:
            return []
        unsure = " --unsure" if n_unsure else ""
        command = f"kfgraph errors {self.call_tree.trace.meta.as_typed} --limit 0{unsure}"
        return with_command(f"{', '.join(said)}; to list them:", command, width=width)

    @cached_property
    def _ways_back(self) -> dict[Why, tuple[str, str]]:
        return ways_back(self.call_tree, self.folded, self.options, may_merge=self._may_merge)

    @property
    def _may_merge(self) -> bool:
        """Whether ``--merge`` can be added to what was asked for."""
        single = self.call_tree.merged or self.events or self.start or set(self.beside) - set(TIMES)
        return self.mergeable and not single

    def row(self, index: int, numbers: str) -> Pieces:
        """One line: ``numbers`` and the tree, in styles."""
        folded, model = self.folded, self.model
        line, kind, node = model.line(index), Kind(folded.kind[index]), int(folded.node[index])
        if kind is Kind.OWN_COST:
            return [(numbers + line.text, "dim")]
        if kind in (Kind.LOSS, Kind.EVENT):
            style = "loss" if kind is Kind.LOSS else "event"
            return [(numbers, ""), (line.guides, "dim"), (line.hot, "dim"), (line.name + line.note, style)]
        if kind is Kind.REST:
            return [(numbers, "dim"), (line.guides + line.hot, "dim"), (line.name + line.note, "dim")]
        first, last = model.span("total")
        scale = f"scale{blocks.scale_of(folded.tree.floor_ns[node : node + 1])[0]}"
        calls = model.span("calls")[0] or len(numbers)
        pieces = [(numbers[:first], "dim"), (numbers[first:last], scale), (numbers[last:calls], "")]
        pieces.append((numbers[calls:], "dim" if folded.tree.at("count", node) <= 1 else ""))
        failed = bool(folded.tree.at("error_sure", node))
        named = self._name(line, bool(folded.hot_path[index]), int(folded.tree.flags[node]), failed)
        if self.links is not None and int(folded.tree.at("kind", node)) == NodeKind.CALL:
            text, style = named[2]
            named[2] = (Linked.to(self.links.of(folded.tree.labels[folded.tree.label[node]]), text), style)
        return pieces + named

    def _name(self, line: Line, on_path: bool, flags: int, failed: bool) -> Pieces:
        name, bracket, module = line.name.partition(" [")
        style = "path" if on_path else ""
        flagged = any(flags & flag for flag, _, _ in FLAG_MARKS)
        return [
            (line.guides, "dim"),
            (line.hot, "path" if line.hot == "▸" else "dim"),
            (name, style),
            (bracket + module, "module"),
            (line.note, "flag" if failed or (flagged and "…" not in line.note) else "dim"),
        ]

    def lines(self) -> Iterator[Pieces]:
        """Every line, made when asked for."""
        for text in self.title():
            yield [(text, "" if text.startswith(" ") else "title")]
        yield [(self.model.head, "head")]
        for first in range(0, len(self), _CHUNK):
            last = min(first + _CHUNK, len(self))
            for index, numbers in enumerate(self.model.numbers(first, last), first):
                yield self.row(index, numbers)
        for text in [*self.legend(), *self.summary()]:
            yield [(text, "dim")]

    def plain(self) -> Iterator[str]:
        """The same text in large pieces, without styles."""
        yield "".join(f"{text}\n" for text in [*self.title(), self.model.head])
        for first in range(0, len(self), _CHUNK):
            last = min(first + _CHUNK, len(self))
            pairs = zip(self.model.numbers(first, last), self.model.texts(first, last), strict=True)
            yield "".join(chain.from_iterable(pairs))
        yield "".join(f"{text}\n" for text in [*self.legend(), *self.summary()])

    def styled(self, console: Console) -> Iterator[str]:
        """The lines with the escape sequences of the console's colours; a line at a time."""
        system = _SYSTEMS.get(console.color_system or "")
        around = {}
        for name, style in STYLES.items():
            shown = style.without_color if console.no_color else style
            before, _, after = shown.render("\0", color_system=system).partition("\0")
            around[name] = (before, after)
        if self.links is not None:
            shown = distinct(self.folded.tree.label[self.folded.node[self.folded.kind == Kind.CALL]]).tolist()
            self.links.look_for(self.folded.tree.labels[label] for label in shown)
        for pieces in self.lines():
            styled = [around[style][0] + on_a_terminal(text) + around[style][1] for text, style in pieces if text]
            yield "".join(styled) + "\n"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for pieces in replace(self, width=options.max_width).lines():
            for text, style in pieces:
                yield Segment(text, STYLES[style])
            yield Segment.line()


def tree_view(
    call_tree: CallTree,
    options: FoldOptions,
    *,
    events: Sequence[str] = (),
    width: int | None = None,
    start: bool = False,
    beside: Sequence[str] = (),
    overview: bool = False,
    mergeable: bool = True,
    links: SourceLinks | None = None,
    above: Sequence[str] = (),
    sites: CallSites | None = None,
) -> TreeView:
    """``call_tree`` folded as asked, with the losses and the ``events`` (globs) in their places.

    ``overview``: it is merged unasked, and says what single calls would show. Not ``mergeable``: single calls were
    asked for, so that no hint says ``--merge``. ``links``: where names lead. ``above``: an answer, and its hints.
    ``sites``: file and line of calls.

    Raises:
        NoMatchError: a glob of ``options`` or ``events`` names nothing.
        UsageError: times are asked for in a merged tree, which has none.
    """
    if call_tree.merged and (events or start or set(beside) - set(TIMES)):
        hint = "leave one of them out"
        raise UsageError("--merge: a merged tree has no calls for --event, --start or --with", hint)
    places = np.append(call_tree.tree.tasks_below, event_nodes(call_tree, events) if events else np.zeros(0, np.int32))
    folded = with_losses(fold(call_tree.tree, options, places=places if len(places) else None), call_tree)
    limit = EVENT_ROWS if options.repeats else None
    folded, n_events_hidden = with_events(folded, call_tree, events, limit=limit)
    folded, unseen = with_own_cost(folded, options, call_tree.selection.own_cost.label)
    n_losses = 0
    if overview:
        n_losses, n_events_hidden = n_without_place(call_tree)
    return TreeView(
        call_tree, folded, width, start, tuple(events), n_events_hidden, options, unseen, tuple(beside), overview,
        n_losses, mergeable, links, tuple("  " * (at > 0) + spelt_out(line) for at, line in enumerate(above)), sites,
    )  # fmt: skip
