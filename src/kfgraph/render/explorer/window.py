"""The rows of the explorer that are on the screen, rendered as ``kfgraph show`` renders its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.open_event_rows import rows_beside
from kfgraph.analyze.open_rows import Beside, Group, OpenRows
from kfgraph.analyze.repeats import unfolded
from kfgraph.analyze.tree_rows import Detail, Folded, Kind, OwnCostDetail
from kfgraph.analyze.visibility import Why
from kfgraph.model.arrays import distinct
from kfgraph.model.spelling import spelt_out
from kfgraph.model.tree import NodeKind, TreeTable
from kfgraph.render.rowmodel import Layout
from kfgraph.render.tree import Pieces, TreeView

Int64 = npt.NDArray[np.int64]
CLOSED, OPENED, LEAF = "+ ", "- ", "  "


@dataclass(frozen=True, eq=False, repr=False)
class _RowsView(TreeView):
    """A TreeView of some rows: ``layout`` is that of all, ``around`` what stands around the names of roots."""

    layout: Layout | None = None
    around: tuple[dict[int, str], dict[int, str]] = field(default_factory=lambda: ({}, {}))

    def _layout(self, start_ns: Int64 | None) -> Layout:
        return self.layout if self.layout is not None else super()._layout(start_ns)

    def _around_roots(self) -> tuple[dict[int, str], dict[int, str]]:
        return self.around


class Window:
    """Makes the lines of any rows of ``rows``, in ``width`` columns; ``beside`` as ``--with`` has it."""

    def __init__(self, call_tree: CallTree) -> None:
        self.call_tree = call_tree
        self.tree = call_tree.tree
        places, details, costs = rows_beside(call_tree)
        self.details: list[Detail] = details
        self._costs = costs
        self.rows = OpenRows(self.tree, beside=places)
        self.width = 80
        self.start = False
        self.beside: tuple[str, ...] = ()
        self.match: npt.NDArray[np.bool_] | None = None
        self.tops = self.rows.tops
        """The outermost rows where nothing is zoomed into: all roots, or the task that was chosen."""
        self.zooms: list[tuple[npt.NDArray[np.int32], int]] = []
        self.hidden: list[tuple[int, int]] = []
        """Labels whose calls are hidden, with how many each has, the last one hidden last."""
        self._layouts: dict[tuple[int, bool, int], Layout] = {}
        self._heads: dict[int, str] = {}
        self._hottest: dict[int, int] = {}
        self._on_path: dict[int, bool] = {}
        tree = self.tree
        self._probes = [int(np.argmax(tree.floor_ns)), int(np.argmax(tree.level))] if len(tree) else []
        if tree.has("count"):
            self._probes.append(int(np.argmax(tree.count)))
        if tree.has("error"):
            failed = np.flatnonzero(tree.error)
            key = tree.error[failed].astype(np.int64) * 2 + tree.at("error_sure", failed)
            self._probes += [int(failed[np.argmax(key == one)]) for one in distinct(key)[:256].tolist()]

    def layout(self) -> Layout:
        """Where things stand at this width; guides have room for the deepest row."""
        # In steps, so that not each row that is opened moves what is there.
        level = int(self.rows.levels.max(initial=0))
        key = (self.width, self.start, -(-level // 8))
        if key not in self._layouts:
            nodes = np.array(self._probes, np.int32)
            levels = np.full(len(nodes), level, np.int16)
            n_calls = int(self.tree.n_calls(self.tree.roots).sum()) if len(nodes) else 0
            folded = self._folded(_some(self.tree, nodes, levels), levels, hidden=np.full(len(nodes), n_calls))
            self._layouts[key] = _RowsView(self.call_tree, folded, self.width - 1, self.start).model.layout
        return self._layouts[key]

    @property
    def head(self) -> str:
        """The titles above the columns."""
        layout = self.layout()
        if id(layout) not in self._heads:
            self._heads[id(layout)] = self._view(0, 0).model.head
        return self._heads[id(layout)]

    def lines(self, first: int, last: int) -> list[Pieces]:
        """The rows ``first:last``, each as (text, name of a style)."""
        view = self._view(first, last)
        numbers = view.model.numbers(0, len(view))
        lines = []
        for at, left in enumerate(numbers):
            item = self.rows.item(first + at)
            pieces = view.row(at, left[:-1] + self._mark(item))
            if self.match is not None and view.folded.kind[at] == Kind.CALL:
                label = int(view.folded.tree.label[at])
                if self.match[label]:
                    # The name is the last but two.
                    pieces[-3] = (pieces[-3][0], "match")
            lines.append(pieces)
        return lines

    def _mark(self, item: int) -> str:
        if not self.rows.may_open(item):
            return LEAF
        return OPENED if self.rows.is_open(item) else CLOSED

    def _view(self, first: int, last: int) -> _RowsView:
        items, levels = self.rows.rows[first:last], self.rows.levels[first:last]
        nodes = np.array([self.rows.node(one) for one in items.tolist()], np.int32)
        n = len(items)
        kind = np.full(n, Kind.CALL, np.uint8)
        times, hidden, hidden_ns = np.ones(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
        detail = np.full(n, -1, np.int32)
        sums: dict[int, Group] = {}
        is_node = items < self.rows.n
        closed = np.array([not self.rows.is_open(one) for one in items.tolist()], np.bool_)
        some = np.flatnonzero(is_node & closed & (self.tree.end[nodes] > nodes + 1)) if n else np.zeros(0, np.int64)
        if len(some):
            hidden[some] = self.tree.n_calls(nodes[some]) - self.tree.at("count", nodes[some])
        for at in np.flatnonzero(~is_node).tolist():
            made = self.rows.made(int(items[at]))
            if isinstance(made, Beside):
                what = self.details[made.detail]
                kind[at] = Kind.OWN_COST if isinstance(what, OwnCostDetail) else Kind.LOSS
                detail[at], hidden_ns[at] = made.detail, self._costs[made.detail]
            elif made is not None:
                sums[at] = made
                times[at] = len(made.members)
        tree = _some(self.tree, nodes, levels, sums)
        folded = self._folded(tree, levels, kind, times, hidden, hidden_ns, detail, self._shares(tree, nodes))
        hot = np.array([self._is_hot(one) for one in items.tolist()], np.bool_)
        path = np.array([one < self.rows.n and self._is_on_path(one) for one in items.tolist()], np.bool_)
        folded.hot[:], folded.hot_path[:] = hot, path & (kind == Kind.CALL)
        return _RowsView(
            self.call_tree, folded, self.width - 1, self.start, beside=self.beside, layout=self.layout(),
            around=self._around(items),
        )  # fmt: skip

    def _folded(
        self,
        tree: TreeTable,
        levels: npt.NDArray[np.int16],
        kind: npt.NDArray[np.uint8] | None = None,
        times: Int64 | None = None,
        hidden: Int64 | None = None,
        hidden_ns: Int64 | None = None,
        detail: npt.NDArray[np.int32] | None = None,
        share: npt.NDArray[np.float64] | None = None,
    ) -> Folded:
        n = len(tree)
        zeros = np.zeros(n, np.int64)
        no = np.zeros(n, np.bool_)
        return Folded(
            tree=tree,
            times=np.ones(n, np.int64) if times is None else times,
            is_sum=no,
            repeats=unfolded(tree),
            gathered=None,
            visible=~no,
            n_errors_hidden=0,
            n_unsure_hidden=0,
            readable_ns=0,
            kind=np.full(n, Kind.CALL, np.uint8) if kind is None else kind,
            node=np.arange(n, dtype=np.int32),
            level=levels,
            hidden_calls=zeros if hidden is None else hidden,
            hidden_ns=zeros if hidden_ns is None else hidden_ns,
            hidden_losses=zeros,
            hidden_events=zeros,
            why=np.full(n, Why.COLLAPSED, np.uint8),
            share=np.full(n, -1.0) if share is None else share,
            hot=no.copy(),
            hot_path=no.copy(),
            detail=np.full(n, -1, np.int32) if detail is None else detail,
            details=tuple(self.details),
        )

    def _shares(self, rows: TreeTable, nodes: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """Of the outermost row that each row is below."""
        tops = self.rows.tops
        if not len(tops) or not len(nodes):
            return np.full(len(nodes), -1.0)
        ordered = np.sort(tops)
        root = ordered[np.maximum(np.searchsorted(ordered, nodes, side="right") - 1, 0)]
        whole = self.tree.floor_ns[root]
        return np.where(whole > 0, rows.floor_ns / np.maximum(whole, 1), -1.0)

    def _is_hot(self, item: int) -> bool:
        if item >= self.rows.n:
            return False
        parent = int(self.tree.parent[item])
        return parent >= 0 and self.hottest(parent) == item

    def hottest(self, node: int) -> int:
        """The slowest child, kept."""
        if node not in self._hottest:
            self._hottest[node] = self.rows.hottest(node)
        return self._hottest[node]

    def zoom(self, row: int) -> bool:
        """Show a row and what is below it alone; whether there was anything to change."""
        rows, item = self.rows, self.rows.item(row)
        if item >= rows.n or (len(rows.tops) == 1 and int(rows.tops[0]) == item):
            return False
        self.zooms.append((rows.tops, item))
        rows.restart(np.array([item], np.int32))
        rows.open(0)
        return True

    def unzoom(self, *, wholly: bool = False) -> int:
        """Back to what was shown before the last zoom, or before the first; the row of what was zoomed into (-1: it is
        hidden, or nothing was)."""
        if not self.zooms:
            return -1
        tops, item = self.zooms[0] if wholly else self.zooms[-1]
        self.zooms = [] if wholly else self.zooms[:-1]
        self.rows.restart(tops)
        return self.rows.reveal(item)

    def choose(self, tops: npt.NDArray[np.int32]) -> None:
        """Show these roots alone."""
        self.zooms.clear()
        self.tops = tops
        self.rows.restart(tops)

    def function_at(self, item: int) -> int:
        """The label of the function in a row; -1: it is no call."""
        node = self.rows.node(item)
        is_call = not isinstance(self.rows.made(item), Beside) and int(self.tree.at("kind", node)) == NodeKind.CALL
        return int(self.tree.label[node]) if is_call else -1

    def hide(self, label: int) -> None:
        """Hide the calls of a function, and what is below them."""
        calls = self.tree.label == label
        count = int(self.tree.count[calls].sum() if self.tree.has("count") else np.count_nonzero(calls))
        self.hidden.append((label, count))
        self._hide(label, True)

    def unhide(self) -> bool:
        """Show again what was hidden last; whether anything was."""
        if not self.hidden:
            return False
        self._hide(self.hidden.pop()[0], False)
        return True

    def _hide(self, label: int, hidden: bool) -> None:
        self.rows.hidden[label] = hidden
        self.rows.restart()
        self._hottest.clear()
        self._on_path.clear()

    def mark(self, nodes: npt.NDArray[np.int32]) -> None:
        """Let the names of the functions of these nodes stand out."""
        self.match = np.zeros(len(self.tree.labels), np.bool_)
        self.match[self.tree.label[nodes]] = True

    def _is_on_path(self, node: int) -> bool:
        way = []
        while node >= 0 and node not in self._on_path:
            way.append(node)
            node = int(self.tree.parent[node])
        on_path = self._on_path[node] if node >= 0 else True
        for one in reversed(way):
            on_path = on_path and (self.tree.parent[one] < 0 or self._is_hot(one))
            self._on_path[one] = on_path
        return on_path

    @cached_property
    def _several_tasks(self) -> bool:
        lane = self.call_tree.trace.calls.lane[np.maximum(self.tree.row[self.tree.roots], 0)]
        return len(distinct(lane)) > 1

    def _around(self, items: npt.NDArray[np.int32]) -> tuple[dict[int, str], dict[int, str]]:
        """The number and the task of roots that are matches, as ``show`` has them."""
        before: dict[int, str] = {}
        after: dict[int, str] = {}
        nth = self.call_tree.nth
        if len(nth) < 2:
            return before, after
        roots = self.tree.roots
        width, trace = len(str(int(nth.max()))), self.call_tree.trace
        for at, item in enumerate(items.tolist()):
            place = int(np.searchsorted(roots, item))
            if place < len(roots) and roots[place] == item:
                before[at] = f"#{nth[place]:<{width}} "
                if self._several_tasks:
                    after[at] = f"  {spelt_out(trace.tasks[int(trace.calls.lane[self.tree.row[item]])].label)}"
        return before, after


def _some(
    tree: TreeTable,
    nodes: npt.NDArray[np.int32],
    levels: npt.NDArray[np.int16],
    sums: dict[int, Group] | None = None,
) -> TreeTable:
    """These nodes, each a tree of its own, with the ``sums`` in their places."""
    n = len(nodes)
    columns, sums = {}, sums or {}
    stored = [tree, *(group.sums for group in sums.values())]
    for name, column in TreeTable.COLUMNS.items():
        # That a column is stored says that the trace tells of it.
        if column.merge is None or not (column.of_single or any(one.has(name) for one in stored)):
            continue
        values = np.array(tree.at(name, nodes))
        for at, group in sums.items():
            values[at] = group.sums.at(name, np.array([group.index]))[0]
        columns[name] = values
    parent, end = np.full(n, -1, np.int32), np.arange(1, n + 1, dtype=np.int32)
    return TreeTable(tree.labels, parent=parent, end=end, level=levels, **columns)
