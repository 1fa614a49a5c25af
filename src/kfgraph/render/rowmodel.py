"""The rows of a folded tree as text, made when asked for: numbers on the left, the tree on the right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len

from kfgraph.analyze.tree_rows import Folded, Kind
from kfgraph.analyze.visibility import Why
from kfgraph.analyze.wakers import Wakers
from kfgraph.analyze.works import Works
from kfgraph.kernel.returns import error_name
from kfgraph.model.arrays import distinct
from kfgraph.model.calls import Flag
from kfgraph.model.spelling import spelt_out
from kfgraph.model.tree import INTERRUPT_MARK, NodeKind
from kfgraph.model.units import average_ns, format_ns, plural
from kfgraph.render import blocks
from kfgraph.render.blocks import BLANK, UNKNOWN
from kfgraph.render.cells import cut_middle
from kfgraph.render.details import detail_text
from kfgraph.render.estimates import ESTIMATE
from kfgraph.render.rowvalues import TIMES, RowValues

FLAG_MARKS = (
    (Flag.NO_EXIT, "?", "not finished: its exit was not recorded"),
    (Flag.NO_ENTRY, "<", "its entry was not recorded"),
    (Flag.CUT_BY_LOSS, "%", "records were lost inside"),
    (Flag.IN_TRACER, "^", "interrupt inside the tracer: its time is not in its caller's"),
    (Flag.CALLER_LOST, "!", "caller unknown, records lost"),
    (Flag.DEPTH_JUMP, ">", "its caller was not recorded"),
    (Flag.PRE_EXEC, "~", "kfgraph's launcher, not the command"),
)
_MARKS = tuple((int(flag), mark) for flag, mark, _ in FLAG_MARKS)
_MARKED = sum(flag for flag, _ in _MARKS)
OPTION = {
    Why.TIME: "--min 0",
    Why.MIN: "--min 0",
    Why.ROWS: "--max-rows 0",
    Why.DEPTH: "--depth",
    Why.COLLAPSED: "--collapse",
    Why.OTHER_MATCH: "--nth",
    Why.MORE_ROOTS: "--max-rows 0",
    Why.OFF_PATH: "--calls-to",
    Why.INTERRUPT: "--open-irq",
}
"""What brings back what is hidden for a reason."""
_LEAST_ARGS = 8
"""In less room arguments say nothing."""
_NAME_ROOM = 12
"""A name keeps at least this many columns; notes behind it go first."""
NAME_WANTED = 24
"""So much of the name of a function that failed is whole, where columns of numbers can go for it."""
NAME_LEAST = 8
"""Beside an error, which stays at any width, a name may have this few; then columns of numbers go."""


class Layout(NamedTuple):
    """Where things stand. ``room`` columns are for the tree (None: as many as it takes); a level is
    ``unit`` columns deep, from level ``deepest`` on its number is written instead."""

    names: tuple[str, ...]
    digits: int
    time_width: int
    count_width: int
    room: int | None
    unit: int
    deepest: int


class Line(NamedTuple):
    """The right part of one row: guides, a mark on the hot child, the name, and what is said about it."""

    guides: str
    hot: str
    name: str
    note: str = ""

    @property
    def text(self) -> str:
        """All of it."""
        return self.guides + self.hot + self.name + self.note


@dataclass(frozen=True, eq=False, repr=False)
class RowModel:
    """The rows of ``folded``. ``start_ns`` (one per node of its tree, from the start of the trace) is
    needed for the column ``start`` only; ``before`` and ``after`` put words around the names of nodes;
    ``options`` says what brings hidden rows back, where that is not OPTION's word, ``opens`` what shows the hidden
    callees of a node, where that is known; ``works`` what calls gave to workers; ``roots`` what the
    roots are; ``arch`` whose error numbers they are; ``values`` what was asked for beside the names; ``waiting`` of
    which functions, by label, the own time is no work; ``wakers`` who ended sleeps; ``of`` which time the column
    ``total`` is of."""

    folded: Folded
    layout: Layout
    start_ns: npt.NDArray[np.int64] | None = None
    before: Mapping[int, str] = field(default_factory=dict)
    after: Mapping[int, str] = field(default_factory=dict)
    options: Mapping[Why, str] = field(default_factory=dict)
    opens: Mapping[int, str] = field(default_factory=dict)
    root_noun: str = "match"
    arch: str = ""
    values: RowValues | None = None
    wakers: Wakers | None = None
    waiting: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    of: str = "total"
    works: Works | None = None

    def __len__(self) -> int:
        return len(self.folded)

    @cached_property
    def _heads(self) -> dict[str, tuple[str, int]]:
        """Column -> (title, width)."""
        wide = self.layout.time_width
        start = 0 if self.start_ns is None else blocks.second_width(self.start_ns)
        return {
            "start": ("start s", start),
            "total": (self.of, wide + 2),
            "uncertain": ("±", wide),
            "self": (f"{ESTIMATE}self" if self._estimated else "self", wide),
            "oncpu": ("on CPU", wide),
            "asleep": ("asleep", wide),
            "preempted": ("preempted", wide),
            "irq": ("irq", wide),
            "avg": (f"{ESTIMATE}average" if self._estimated else "average", wide),
            "share": ("share", 6),
            "calls": ("calls", self.layout.count_width),
        }

    @cached_property
    def _estimated(self) -> bool:
        return self.folded.tree.has("tracer_ns")

    @property
    def head(self) -> str:
        """The titles above the columns."""
        heads = [self._heads[name] for name in self.layout.names]
        return " ".join(title.rjust(width) for title, width in heads) + "  function"

    def span(self, name: str) -> tuple[int, int]:
        """Where a column begins and ends in ``numbers``; (0, 0) if it is not shown."""
        at = 0
        for shown in self.layout.names:
            width = self._heads[shown][1]
            if shown == name:
                return at, at + width
            at += width + 1
        return 0, 0

    def numbers(self, first: int, last: int) -> list[str]:
        """The left parts of the rows ``first:last``, all of one width, two spaces behind."""
        folded, tree, layout = self.folded, self.folded.tree, self.layout
        rows = slice(first, last)
        node, kind = folded.node[rows], folded.kind[rows]
        n = len(node)
        is_call, is_rest = kind == Kind.CALL, kind == Kind.REST
        total, unknown = self.totals(rows)
        is_irq = tree.at("kind", node) == NodeKind.INTERRUPT

        def of_node(column: npt.NDArray[np.int64], rest: npt.NDArray[np.int64] | int = BLANK) -> npt.NDArray[np.int64]:
            values = column[node] if len(column) else np.zeros(n, np.int64)
            return np.where(is_call, values, np.where(is_rest, rest, BLANK))

        is_cost = kind == Kind.OWN_COST
        parts: list[blocks.Block] = []
        for name in layout.names:
            width = self._heads[name][1]
            if parts:
                parts.append(blocks.text_block(" ", n))
            if name == "start" and self.start_ns is not None:
                parts.append(blocks.second_block(of_node(self.start_ns), width))
            elif name == "total":
                parts.append(blocks.scale_block(total))
                bounds = blocks.mark_block(unknown & (total >= 0), "≥")
                bounds[is_cost] = ord("≤")
                if self._estimated:
                    bounds[(total >= 0) & (bounds[:, 0] == ord(" "))] = ord(ESTIMATE)
                parts.append(bounds)
                shown = np.where(is_cost, folded.hidden_ns[rows], total)
                parts.append(blocks.time_block(shown, layout.digits, width - 2))
            elif name == "self":
                own = of_node(tree.self_ns)
                own[is_call & (tree.at("kind", node) != NodeKind.CALL) & (own == 0)] = BLANK
                parts.append(blocks.time_block(own, layout.digits, width))
            elif name == "uncertain":
                parts.append(blocks.time_block(of_node(tree.total_uncertain_ns), layout.digits, width))
            elif name in TIMES:
                parts.append(blocks.time_block(self._off_cpu(name, node, is_call, unknown), layout.digits, width))
            elif name == "avg":
                finished = np.where(is_call, tree.at("count", node) - tree.at("n_unfinished", node), BLANK)
                finished = np.where(is_irq & ~unknown, tree.at("n_interrupts", node), finished)
                average = np.where(finished > 0, average_ns(of_node(tree.total_ns), np.maximum(finished, 1)), UNKNOWN)
                average[~is_call | ((tree.at("kind", node) != NodeKind.CALL) & ~is_irq)] = BLANK
                parts.append(blocks.time_block(average, layout.digits, width))
            elif name == "share":
                has_share = (is_call | is_rest) & (total != UNKNOWN)
                parts.append(blocks.share_block(np.where(has_share, folded.share[rows], -1.0)))
            elif name == "calls":
                count = np.where(is_call, tree.at("count", node), np.where(is_rest, folded.hidden_calls[rows], BLANK))
                count[is_call & (tree.at("kind", node) != NodeKind.CALL)] = BLANK
                parts.append(blocks.count_block(count, width))
        return blocks.joined([*parts, blocks.text_block("  ", n)])

    def totals(self, rows: slice) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """(what the column ``total`` says, where that is only the least) of these rows; UNKNOWN and BLANK."""
        folded, tree = self.folded, self.folded.tree
        node, is_call = folded.node[rows], folded.kind[rows] == Kind.CALL
        rest = np.where(folded.kind[rows] == Kind.REST, folded.hidden_ns[rows], BLANK)
        floor = np.where(is_call, tree.floor_ns[node] if len(tree) else rest, rest)
        unknown = is_call & ((tree.total_ns[node] < 0) | (tree.at("n_unfinished", node) > 0))
        # Of several, some may have an end.
        is_irq = tree.at("kind", node) == NodeKind.INTERRUPT
        unknown |= is_irq & is_call & ((tree.flags[node] & np.uint32(Flag.NO_EXIT)) != 0)
        return np.where(unknown & (floor == 0), UNKNOWN, floor), unknown

    def is_flagged(self, row: int) -> bool:
        """Whether the marks of a call's flags stand behind its name: they may have no room."""
        marks = _flag_marks(int(self.folded.tree.flags[self.folded.node[row]]))
        return bool(marks) and marks in self.line(row).note

    def _off_cpu(
        self, name: str, node: npt.NDArray[np.int32], is_call: npt.NDArray[np.bool_], unknown: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.int64]:
        """What of the totals the calls were asleep, preempted, interrupted, or on the CPU."""
        tree = self.folded.tree
        if name != "oncpu":
            ns = tree.at(f"total_{name}_ns", node)
            doubtful = (tree.at("total_unknown_ns", node) > 0) & (name != "irq")
            return np.where(is_call & (ns > 0), ns, np.where(is_call & doubtful, UNKNOWN, BLANK))
        off = sum(tree.at(f"total_{part}_ns", node) for part in ("asleep", "preempted", "irq", "unknown"))
        return np.where(is_call, np.where(unknown, UNKNOWN, tree.total_ns[node] - off), BLANK)

    def line(self, row: int) -> Line:
        """The right part of one row, cut to the layout's room."""
        folded = self.folded
        kind, node = Kind(folded.kind[row]), int(folded.node[row])
        level = int(folded.level[row])
        if kind is Kind.CALL:
            tree = folded.tree
            name = self.before.get(node, "") + self._names[tree.label[node]]
            error = self.error(node)
            n_times = int(tree.at("n_interrupts", node) or folded.times[node])
            if n_times == 1 and self._is_counted_here(node) and " × " not in error:
                n_times = int(tree.at("count", node))
            times = "" if n_times == 1 else f" × {n_times:,}"
            average = self._average(node) if times else ""
            marks = self._said_of(int(tree.label[node])) + _flag_marks(int(tree.flags[node]))
            if self.values is not None and int(tree.at("count", node)) == 1:
                error = error or self.values.returns(node)
                marks += self.values.cpu(node) + self.values.caller(node) + self.values.site(node)
                name += self._fitting(level, name, self.values.args(node), marks + error)
            marks += self._slept(node)
            note = times + marks + error
            rest = self._origin(node) + self.after.get(node, "")
            more = self._woken(node) + self._given(node) + rest
            hidden = self._hidden(row)
            ends = [f" … {hidden}", f" …{hidden.split()[0]}"] if hidden else [""]
            tails = [times + average + marks + error + more + ends[0]] if average else []
            tails += [note + more + end for end in ends]
            tails += [note + rest + end for end in ends] if more != rest else []
            tails += [note, times + error] if error else [note] if times else []
            needed = error and (times if self._is_counted_here(node) else "") + error
            return self._cut(level, bool(folded.hot[row]), name, *tails, roomy=1 + bool(average), needed=needed)
        if kind is Kind.REST:
            option = f" ({self._option(row)})"
            time = f", {format_ns(int(folded.hidden_ns[row]))}"
            n_roots = int((folded.tree.parent < 0).sum()) - int((folded.level[folded.kind == Kind.CALL] == 0).sum())
            more = f"{plural(n_roots, f'more {self.root_noun}')}, " if node < 0 else ""
            tails = [time + option, option]
            if node in self.opens:
                opens = f" ({self.opens[node]})"
                tails = [time + opens, time + option, opens, option]
            return self._cut(level, False, f"… {more}{self._hidden(row)}", *tails, whole=True)
        name, rest = detail_text(folded.details[folded.detail[row]])
        tails = [rest]
        if kind is Kind.EVENT and self.layout.room is not None:
            # The name of an event stays, what it says is cut.
            mark, said = rest[:2], rest[2:]
            left = self.layout.room - cell_len("".join(_guides(level, False, self.layout)) + name + mark)
            tails = [mark + cut_middle(said, left)] if left > 1 else []
        return self._cut(level, False, name, *tails, whole=True)

    def texts(self, first: int, last: int) -> list[str]:
        """The right parts of the rows ``first:last``, each with its newline. Those of a kind are made once."""
        folded, tree = self.folded, self.folded.tree
        rows = slice(first, last)
        node = folded.node[rows]
        plain = (folded.kind[rows] == Kind.CALL) & (folded.hidden_calls[rows] == 0) & (folded.hidden_losses[rows] == 0)
        plain &= (folded.times[node] == 1) & (folded.hidden_events[rows] == 0)
        if tree.has("n_interrupts"):
            plain &= tree.n_interrupts[node] < 2
        if "calls" not in self.layout.names and tree.has("count"):
            plain &= tree.at("count", node) == 1
        if tree.has("error"):
            plain &= tree.error[node] == 0
        if tree.has("asleep_ns"):
            plain &= (tree.at("asleep_ns", node) == 0) & (tree.at("preempted_ns", node) == 0)
        if self.works is not None:
            plain &= ~np.isin(tree.row[node], self.works.rows)
        if self.values is not None:
            plain[:] = False
        if self.before or self.after:
            plain &= ~np.isin(node, [*self.before, *self.after])
        flags = tree.flags[node].astype(np.int64) & _MARKED
        key = ((folded.level[rows].astype(np.int64) * len(tree.labels) + tree.label[node]) << 17) | (flags << 1)
        key |= folded.hot[rows]
        key[~plain] = -1 - np.flatnonzero(~plain) - first
        known = self._known
        return [known[k] for k in key.tolist()]

    def _fitting(self, level: int, name: str, args: str, tail: str) -> str:
        """``args``, cut to the room that is left beside the name and what stands behind it."""
        if self.layout.room is None or not args:
            return args
        guides, mark = _guides(level, False, self.layout)
        left = self.layout.room - len(guides) - len(mark) - cell_len(name) - cell_len(tail)
        return args if cell_len(args) <= left else f"({cut_middle(args[1:-1], left - 2)})" if left > _LEAST_ARGS else ""

    def error(self, node: int) -> str:
        """`` = -19 ENODEV`` where a call returned an error, `` = -19 ENODEV?`` where it looks like one; `` × 3`` where
        three of the node's calls did (of how many a column says, or this), `` …`` where not all of these alike."""
        tree = self.folded.tree
        error = int(tree.at("error", node))
        if not error:
            return ""
        sure = bool(tree.error_sure[node])
        name = error_name(error, sure=sure, arch=self.arch)
        text = f" = {error} {name}".rstrip() + ("?" if name and not sure else "")
        if tree.has("n_errors") and tree.n_errors[node] < tree.at("count", node):
            text += f" × {tree.n_errors[node]:,}"
            text += f" of {tree.at('count', node):,}" if self._is_counted_here(node) else ""
        return text + (" …" if tree.at("errors_differ", node) else "")

    def _is_counted_here(self, node: int) -> bool:
        """Whether the row has to say itself that it is of several calls: no column is left for it."""
        tree = self.folded.tree
        several = tree.at("count", node) > 1 and self.folded.times[node] == 1
        return "calls" not in self.layout.names and bool(several and tree.at("kind", node) == NodeKind.CALL)

    def _slept(self, node: int) -> str:
        """``, asleep 12.3 ms`` where calls were off the CPU themselves."""
        tree = self.folded.tree
        if not tree.has("asleep_ns"):
            return ""
        times = {kind: int(tree.at(f"{kind}_ns", node)) for kind in ("asleep", "preempted")}
        return "".join(f", {kind} {format_ns(ns, digits=1)}" for kind, ns in times.items() if ns)

    def _woken(self, node: int) -> str:
        """``, woken by kworker/0:1 in complete(), moved to CPU 1`` of a call that was off the CPU itself."""
        tree = self.folded.tree
        if self.wakers is None or not tree.has("asleep_ns") or int(tree.at("count", node)) != 1:
            return ""
        was_off = int(tree.at("asleep_ns", node) + tree.at("preempted_ns", node)) > 0
        return spelt_out(self.wakers.said(int(tree.row[node]))) if was_off else ""

    def _given(self, node: int) -> str:
        """``  → work foo_fn in kworker/0:1-22 after 12.3 us`` of a single call that queued work itself."""
        tree = self.folded.tree
        if self.works is None or int(tree.at("count", node)) != 1 or tree.row[node] < 0:
            return ""
        return self.works.said(int(tree.row[node]))

    def _average(self, node: int) -> str:
        """``  avg 1.2 us`` of calls in one row; a merged tree has a column for it."""
        tree = self.folded.tree
        finished = int(tree.at("count", node) - tree.at("n_unfinished", node))
        if tree.at("kind", node) == NodeKind.LOOP:
            finished = self._repetitions(node)
        elif tree.at("kind", node) == NodeKind.INTERRUPT and not tree.flags[node] & Flag.NO_EXIT:
            finished = int(tree.n_interrupts[node])
        if "avg" in self.layout.names or finished <= 0 or tree.total_ns[node] < 0:
            return ""
        return f"  avg {format_ns(average_ns(int(tree.total_ns[node]), finished), digits=1)}"

    def _repetitions(self, node: int) -> int:
        """How often the body of a loop was there, in all repetitions of the loops around it."""
        tree, in_each = self.folded.tree, 1
        while tree.at("kind", node) == NodeKind.LOOP:
            node += 1
            in_each *= int(self.folded.times[node])
        return int(tree.at("count", node)) // in_each

    def _origin(self, node: int) -> str:
        """Where a result comes from, if not from the function's own return register."""
        return " (sys_exit)" if self.folded.tree.at("error_event", node) else ""

    @cached_property
    def _known(self) -> _Cache:
        n_labels = len(self.folded.tree.labels)

        def make(key: int) -> str:
            if key < 0:
                return self.line(-1 - key).text + "\n"
            level, label = divmod(key >> 17, n_labels)
            marks = self._said_of(label) + _flag_marks((key & 0x1FFFF) >> 1)
            return self._cut(level, bool(key & 1), self._names[label], marks).text + "\n"

        return _Cache(make)

    @cached_property
    def _names(self) -> list[str]:
        tree = self.folded.tree
        names = [spelt_out(label) for label in tree.labels]
        if tree.has("n_interrupts"):
            for label in distinct(tree.label[tree.n_interrupts > 0]).tolist():
                names[label] = INTERRUPT_MARK + names[label]
        return names

    def _said_of(self, label: int) -> str:
        """What is said of a function behind its name."""
        return " (waiting)" if label < len(self.waiting) and self.waiting[label] else ""

    def _hidden(self, row: int) -> str:
        """``214 calls, 2 losses, 3 events``, or nothing."""
        folded = self.folded
        said = [plural(int(folded.hidden_calls[row]), "call")] if folded.hidden_calls[row] else []
        if folded.hidden_losses[row]:
            said.append(plural(int(folded.hidden_losses[row]), "loss"))
        if folded.hidden_events[row]:
            said.append(plural(int(folded.hidden_events[row]), "event"))
        return ", ".join(said)

    def _option(self, row: int) -> str:
        why = Why(self.folded.why[row])
        return self.options.get(why, OPTION.get(why, "--all"))

    def _cut(
        self, level: int, hot: bool, name: str, *tails: str, whole: bool = False, roomy: int = 1, needed: str = ""
    ) -> Line:
        """The line with the longest of ``tails`` (long to short) that leaves the name its room (or ``whole``), the
        first ``roomy`` of them twice that; ``needed`` is the least that stands behind it, whatever is left for the
        name, and what is more leaves the name NAME_WANTED."""
        guides, mark = _guides(level, hot, self.layout)
        room = self.layout.room
        if room is None:
            return Line(guides, mark, name, tails[0] if tails else "")
        room -= len(guides) + len(mark)
        size = cell_len(name)
        for place, tail in enumerate((*tails, "") if not needed else tails):
            least = NAME_WANTED if needed else _NAME_ROOM * (2 if place < roomy else 1)
            if room - len(tail) >= (size if whole else min(size, least)):
                return Line(guides, mark, _shortened(name, max(room - len(tail), 1)), tail)
        if len(needed) >= room:
            # Not even that: the number stays.
            needed = needed[: max(len(needed.split(" ", 3)[2]) + 3, room - 1)]
        return Line(guides, mark, _shortened(name, max(room - len(needed), 1)), needed)


def _shortened(name: str, width: int) -> str:
    """``name`` in ``width`` columns; that of its module goes before that of the function could not be told any more."""
    function, bracket, module = name.partition(" [")
    left = width - cell_len(bracket + module)
    if cell_len(name) <= width or left >= min(cell_len(function), NAME_WANTED // 2):
        return cut_middle(name, width)
    return cut_middle(function, width)


class _Cache(dict[int, str]):
    def __init__(self, make: Callable[[int], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: int) -> str:
        text = self._make(key)
        if key >= 0:
            self[key] = text
        return text


def _flag_marks(flags: int) -> str:
    marks = "".join(mark for flag, mark in _MARKS if flags & flag)
    return f" {marks}" if marks else ""


def _guides(level: int, hot: bool, layout: Layout) -> tuple[str, str]:
    """The lines that lead down from the callers, and what stands before the name."""
    if not level:
        return "", ""
    own = "▸" if hot else "├"
    if level > layout.deepest:
        number = str(level)
        return "│" * max(layout.deepest * layout.unit - len(number) - 1, 0) + number, "▸" if hot else " "
    if layout.unit == 1:
        return "│" * (level - 1), own
    return "│ " * (level - 1) + ("├" if hot else ""), "▸" if hot else "├ "
