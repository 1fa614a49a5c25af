"""A tree of which some nodes are open: its rows as arrays, where opening and closing is a splice.

Nothing here is made for the whole tree: the rows of a node come into being when it is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int16, Int32, Int64, covered
from kfgraph.analyze.merged import merged
from kfgraph.model.tree import NodeKind, TreeTable

_MANY = 4_096
"""The order of so many siblings by time is kept."""
_HOPS = 32
"""Children are found one after another where there are so few, else by looking at all that is below."""


class Beside(NamedTuple):
    """A row that is no call: number ``detail`` of what the caller keeps, inside node ``parent``, before node
    ``before``, the parent's ``end`` where nothing of it follows."""

    parent: int
    before: int
    detail: int


@dataclass(frozen=True)
class Group:
    """The children of one node that are calls of one function: one row. Node ``index`` of ``sums`` is their sum."""

    parent: int
    members: Int32
    sums: TreeTable
    index: int

    @property
    def floor_ns(self) -> int:
        """What they took together, at least."""
        return int(self.sums.floor_ns[self.index])


class OpenRows:
    """The rows of ``tree``, top to bottom: ``rows`` holds an item for each, ``levels`` how deep it stands.

    An item below ``len(tree)`` is that node; those from there on are made: a :class:`Group`, or one of ``beside``
    (see :meth:`made`). Siblings stand in the order of the tree, with ``by_time`` the slowest first. What ``hidden``
    says of a label hides all its nodes, and what is below them.
    """

    def __init__(self, tree: TreeTable, *, beside: Sequence[Beside] = ()) -> None:
        self.tree = tree
        self.n = len(tree)
        self.tops: Int32 = tree.roots
        self.by_time = False
        self.hidden = np.zeros(len(tree.labels), np.bool_)
        self._open = np.zeros(self.n, np.bool_)
        self._made: list[Group | Beside] = [*sorted(beside)]
        self._made_open: list[bool] = [False] * len(self._made)
        self._n_beside = len(self._made)
        self._beside_parent = np.array([one.parent for one in self._made if isinstance(one, Beside)], np.int32)
        self._beside_before = np.array([one.before for one in self._made if isinstance(one, Beside)], np.int32)
        self._groups: dict[int, list[int]] = {}
        self._many: dict[int, Int32] = {}
        self._slow_first: dict[int, Int32] = {}
        self.rows: Int32
        self.levels: Int16
        self.restart()

    def __len__(self) -> int:
        return len(self.rows)

    def restart(self, tops: Int32 | None = None) -> None:
        """Make all rows anew, with ``tops`` as the outermost ones; what was open stays open."""
        if tops is not None:
            self.tops = tops
        self.rows, self.levels = self._below(self._ordered(self._shown(self.tops)), 0)

    def made(self, item: int) -> Group | Beside | None:
        """What an item is that is no node."""
        return None if item < self.n else self._made[item - self.n]

    def item(self, row: int) -> int:
        """The item at a row."""
        return int(self.rows[row])

    def node(self, item: int) -> int:
        """The node that an item is, or is part of: of a group its first member, of another row the call it is in."""
        made = self.made(item)
        if made is None:
            return item
        return int(made.members[0]) if isinstance(made, Group) else made.parent

    def is_open(self, item: int) -> bool:
        """Whether its rows are shown when it is."""
        return bool(self._open[item]) if item < self.n else self._made_open[item - self.n]

    def may_open(self, item: int) -> bool:
        """Whether there is anything below it."""
        made = self.made(item)
        if made is not None:
            return isinstance(made, Group)
        if int(self.tree.end[item]) > item + 1:
            return not self.hidden.any() or len(self.children(item)) > 0
        return self._besides(item)[0] < self._besides(item)[1]

    def children(self, item: int) -> Int32:
        """The items directly below one, in the order of their rows."""
        return self._children(np.array([item], np.int32))[0]

    def block_end(self, row: int) -> int:
        """The first row behind those below ``row``."""
        after = self.levels[row + 1 :] <= self.levels[row]
        return row + 1 + (int(np.argmax(after)) if after.any() else len(after))

    def parent_row(self, row: int) -> int:
        """The row that this one is below; -1: none."""
        level, last = self.levels[row], row
        while last > 0:
            first = max(last - 4096, 0)
            found = np.flatnonzero(self.levels[first:last] < level)
            if len(found):
                return first + int(found[-1])
            last = first
        return -1

    def open(self, row: int) -> int:
        """Show what is below a row; how many rows came."""
        item = self.item(row)
        if self.is_open(item) or not self.may_open(item):
            return 0
        self._set_open(item, True)
        return self._splice_below(row, row + 1)

    def close(self, row: int) -> int:
        """Show nothing below a row; how many rows went. What was open there will be again."""
        item = self.item(row)
        if not self.is_open(item):
            return 0
        self._set_open(item, False)
        end = self.block_end(row)
        self.rows = np.concatenate((self.rows[: row + 1], self.rows[end:]))
        self.levels = np.concatenate((self.levels[: row + 1], self.levels[end:]))
        return end - row - 1

    def open_all(self, row: int, *, opened: bool = True) -> None:
        """Open all below a row, however deep; or close it all."""
        item = self.item(row)
        nodes, groups = [item], []
        made = self.made(item)
        if isinstance(made, Group):
            nodes, groups = made.members.tolist(), [item]
        for node in nodes:
            first, last = (node, int(self.tree.end[node])) if node < self.n else (0, 0)
            self._open[first:last] = opened
            groups += [one for parent, made in self._groups.items() if first <= parent < last for one in made]
        for group in groups:
            self._made_open[group - self.n] = opened
        self._splice_below(row, self.block_end(row))

    def close_everything(self) -> None:
        """Leave the outermost rows alone, with nothing open."""
        self._open[:] = False
        self._made_open = [False] * len(self._made)
        self.restart()

    def sort(self, *, by_time: bool) -> None:
        """Siblings with the slowest first, or in order."""
        self.by_time = by_time
        self.restart()

    def group(self, parent: int) -> bool:
        """Fold the children of node ``parent`` by function, or unfold them; whether there was anything to fold."""
        if parent in self._groups:
            del self._groups[parent]
        else:
            kids = self._kids(np.array([parent], np.int32))[0]
            # Whatever their order is now: it may be another one when they show.
            kids = np.sort(kids[self.tree.at("kind", kids) == NodeKind.CALL])
            label = self.tree.label[kids]
            order = np.argsort(label, kind="stable")
            begins = np.flatnonzero(np.append(True, np.diff(label[order]) != 0)) if len(kids) else order
            parts = [part for part in np.split(kids[order], begins[1:]) if len(part) > 1]
            if not parts:
                return False
            at = np.concatenate(parts)
            flat = np.zeros(len(at), np.int16)
            sums = merged(
                self.tree.take(
                    at,
                    parent=np.full(len(at), -1, np.int32),
                    end=np.arange(1, len(at) + 1, dtype=np.int32),
                    level=flat,
                )
            )
            index = {int(label): i for i, label in enumerate(sums.label.tolist())}
            self._groups[parent] = []
            for part in parts:
                self._groups[parent].append(self.n + len(self._made))
                self._made.append(Group(parent, part, sums, index[int(self.tree.label[part[0]])]))
                self._made_open.append(False)
        row = self.row_of(parent)
        if row >= 0 and self.is_open(parent):
            self._splice_below(row, self.block_end(row))
        return True

    def is_grouped(self, parent: int) -> bool:
        """Whether the children of this node are folded by function."""
        return parent in self._groups

    def row_of(self, item: int) -> int:
        """The row of an item; -1: it has none."""
        found = np.flatnonzero(self.rows == item)
        return int(found[0]) if len(found) else -1

    def reachable(self, nodes: Int32) -> Bool:
        """Which of these nodes :meth:`reveal` can show: those below ``tops`` that nothing hides."""
        tops = np.sort(self.tops)
        found = _inside(nodes, tops, self.tree.end[tops])
        if self.hidden.any():
            hidden = np.flatnonzero(self.hidden[self.tree.label]).astype(np.int32)
            # What is hidden above ``tops`` hides nothing of them.
            hidden = hidden[_inside(hidden, tops, self.tree.end[tops])]
            found &= ~_inside(nodes, hidden, self.tree.end[hidden])
        return found

    def reveal(self, node: int) -> int:
        """Open all that leads to a node; its row (-1: it is hidden, or not below what is shown)."""
        row = self.row_of(node)
        if row >= 0:
            return row
        way = []
        at = node
        while not (self.tops == at).any():
            child, at = at, int(self.tree.parent[at])
            if at < 0:
                return -1
            for group in self._groups.get(at, ()):
                made = self._made[group - self.n]
                if isinstance(made, Group) and (made.members == child).any():
                    way.append(group)
            way.append(at)
        if self.hidden[self.tree.label[[one for one in (node, *way) if one < self.n]]].any():
            return -1
        # The innermost one that has a row: below it all comes at once.
        inner = len(way) - 1
        for i, item in enumerate(way):
            if (row := self.row_of(item)) >= 0:
                inner = i
                break
        for item in way[: inner + 1]:
            self._set_open(item, True)
        self._splice_below(row, self.block_end(row))
        return self.row_of(node)

    def hottest(self, node: int) -> int:
        """The callee that took the longest, of equal ones the first; -1: there is none that took any time."""
        kids = self._kids(np.array([node], np.int32))[0]
        kids = kids[self.tree.at("kind", kids) != NodeKind.INTERRUPT]
        if not len(kids):
            return -1
        floor_ns = self.tree.floor_ns[kids]
        best = int(np.argmax(floor_ns))
        return int(kids[best]) if floor_ns[best] > 0 else -1

    def hot_path(self, node: int) -> list[int]:
        """The nodes from ``node`` down, each the slowest child of the one before."""
        path = [node]
        while (node := self.hottest(node)) >= 0:
            path.append(node)
        return path

    def open_hot_path(self, row: int) -> int:
        """Open the way to the leaf of the hot path below a row; the leaf's row."""
        item = self.item(row)
        made = self.made(item)
        if isinstance(made, Group):
            item = int(made.members[int(np.argmax(self.tree.floor_ns[made.members]))])
        elif made is not None:
            item = made.parent
        return self.reveal(self.hot_path(item)[-1])

    def _set_open(self, item: int, opened: bool) -> None:
        if item < self.n:
            self._open[item] = opened
        else:
            self._made_open[item - self.n] = opened

    def _splice_below(self, row: int, end: int) -> int:
        """Put the rows below ``row`` anew in place of those up to ``end``; how many more there are."""
        item, level = self.item(row), int(self.levels[row])
        rows, levels = self.rows[:0], self.levels[:0]
        if self.is_open(item):
            this = np.array([item], np.int32)
            if self._is_plain(this):
                rows, levels = self._plain_below(this, level)
                rows, levels = rows[1:], levels[1:]
            else:
                rows, levels = self._below(self.children(item), level + 1)
        self.rows = np.concatenate((self.rows[: row + 1], rows, self.rows[end:]))
        self.levels = np.concatenate((self.levels[: row + 1], levels, self.levels[end:]))
        return len(rows) - (end - row - 1)

    def _below(self, items: Int32, level: int) -> tuple[Int32, Int16]:
        """The rows of these siblings, which stand at ``level``, and of all that is open below them."""
        if self._is_plain(items):
            return self._plain_below(items, level)
        layers, above = [items], [np.zeros(0, np.int64)]
        while True:
            at = np.flatnonzero(self._open_ones(layers[-1]))
            kids, of = self._children(layers[-1][at])
            if not len(kids):
                break
            layers.append(kids)
            above.append(at[of])
        size = [np.ones(len(layer), np.int64) for layer in layers]
        for k in range(len(layers) - 1, 0, -1):
            np.add.at(size[k - 1], above[k], size[k])
        n = int(size[0].sum())
        rows, levels = np.empty(n, np.int32), np.empty(n, np.int16)
        place = np.cumsum(size[0]) - size[0]
        for k, layer in enumerate(layers):
            if k:
                before = np.cumsum(size[k]) - size[k]
                head = np.append(True, above[k][1:] != above[k][:-1])
                before -= before[np.maximum.accumulate(np.where(head, np.arange(len(head)), 0))]
                place = place[above[k]] + 1 + before
            rows[place], levels[place] = layer, level + k
        return rows, levels

    def _is_plain(self, items: Int32) -> bool:
        """Whether so much is open below that looking at all of it is faster, and it stands in the tree's order."""
        if self.by_time or self.hidden.any() or not len(items) or (items >= self.n).any():
            return False
        first, last = int(items[0]), int(self.tree.end[items[-1]])
        if any(first <= parent < last for parent in self._groups):
            return False
        size = int((self.tree.end[items] - items).sum())
        return size == last - first and int(np.count_nonzero(self._open[first:last])) > size // 8

    def _plain_below(self, items: Int32, level: int) -> tuple[Int32, Int16]:
        first, last = int(items[0]), int(self.tree.end[items[-1]])
        shift = np.int16(level - int(self.tree.level[first]))
        opened = self._open[first:last]
        if opened.all():
            rows, levels = np.arange(first, last, dtype=np.int32), self.tree.level[first:last] + shift
        else:
            closed = np.flatnonzero(~opened).astype(np.int32)
            inside = covered(closed, self.tree.end[first:last][closed] - first, last - first)
            # Each closed one is inside itself.
            inside[closed] -= 1
            rows = (first + np.flatnonzero(inside == 0)).astype(np.int32)
            levels = self.tree.level[rows] + shift
        begin, stop = np.searchsorted(self._beside_parent, [first, last]).tolist()
        if begin == stop:
            return rows, levels
        parent = self._beside_parent[begin:stop]
        at = np.minimum(np.searchsorted(rows, parent), len(rows) - 1)
        which = np.flatnonzero((rows[at] == parent) & self._open[parent])
        deep = self.tree.level[parent[which]] + shift + np.int16(1)
        before = np.searchsorted(rows, self._beside_before[begin:stop][which])
        order = np.lexsort((which, -deep, before))
        more = (self.n + begin + which).astype(np.int32)
        return np.insert(rows, before[order], more[order]), np.insert(levels, before[order], deep[order])

    def _open_ones(self, items: Int32) -> Bool:
        opened = self._open[np.minimum(items, self.n - 1)] if self.n else np.zeros(len(items), np.bool_)
        for i in np.flatnonzero(items >= self.n).tolist():
            opened[i] = self._made_open[int(items[i]) - self.n]
        return opened

    def _children(self, items: Int32) -> tuple[Int32, Int64]:
        """(the items below each of ``items``, of one after those of another; the place of the one each is below)."""
        special = items >= self.n
        if self._groups or self._n_beside:
            special |= np.isin(items, [*self._groups, *self._beside_parent.tolist()])
        plain = np.flatnonzero(~special)
        kids, of = self._kids(items[plain])
        of = plain[of]
        if special.any():
            more = [self._special(int(items[at])) for at in np.flatnonzero(special).tolist()]
            sizes = [len(part) for part in more]
            kids = np.concatenate((kids, *more))
            of = np.concatenate((of, np.repeat(np.flatnonzero(special), sizes)))
            order = np.argsort(of, kind="stable")
            kids, of = kids[order], of[order]
        return kids, of

    def _special(self, item: int) -> Int32:
        made = self.made(item)
        if made is not None:
            return self._ordered(made.members) if isinstance(made, Group) else np.zeros(0, np.int32)
        kids = self._kids(np.array([item], np.int32))[0]
        first, last = self._besides(item)
        more = np.arange(self.n + first, self.n + last, dtype=np.int32)
        groups = self._groups.get(item)
        if groups is not None:
            parts = [self._made[group - self.n] for group in groups]
            members = np.concatenate([part.members for part in parts if isinstance(part, Group)])
            kids = np.concatenate((np.setdiff1d(kids, members), np.array(groups, np.int32)))
            hidden = np.array([self.hidden[self.tree.label[self.node(int(one))]] for one in kids], np.bool_)
            kids = self._ordered(kids[~hidden])
        if not len(more):
            return kids
        if groups is not None or self.by_time:
            return np.concatenate((kids, more))
        return np.insert(kids, np.searchsorted(kids, self._beside_before[first:last]), more)

    def _besides(self, node: int) -> tuple[int, int]:
        if not self._n_beside:
            return 0, 0
        first, last = np.searchsorted(self._beside_parent, [node, node + 1]).tolist()
        return first, last

    def _kids(self, nodes: Int32) -> tuple[Int32, Int64]:
        """The child nodes of each node that are not hidden, in the order of their rows; and of which each is."""
        kids, of = children_of(self.tree, nodes, self._many)
        if self.by_time:
            self._sort(nodes, kids, of)
        if self.hidden.any():
            shown = ~self.hidden[self.tree.label[kids]]
            kids, of = kids[shown], of[shown]
        return kids, of

    def _sort(self, nodes: Int32, kids: Int32, of: Int64) -> None:
        """Put the children of each node, which stand together in order, the slowest first; in place."""
        n_kids = np.bincount(of, minlength=len(nodes))
        begin = np.cumsum(n_kids) - n_kids
        many = n_kids > _MANY
        for at in np.flatnonzero(many).tolist():
            node, here = int(nodes[at]), slice(int(begin[at]), int(begin[at] + n_kids[at]))
            if node not in self._slow_first:
                self._slow_first[node] = kids[here][np.argsort(-self.tree.floor_ns[kids[here]], kind="stable")]
            kids[here] = self._slow_first[node]
        few = np.flatnonzero(~many[of]) if many.any() else np.arange(len(of))
        some = kids[few]
        kids[few] = some[np.lexsort((some, -self.tree.floor_ns[some], of[few]))]

    def _shown(self, nodes: Int32) -> Int32:
        return nodes[~self.hidden[self.tree.label[nodes]]] if self.hidden.any() else nodes

    def _ordered(self, items: Int32) -> Int32:
        """Siblings, nodes and groups, in the order of their rows."""
        first = np.array([self.node(one) for one in items.tolist()], np.int32) if (items >= self.n).any() else items
        if not self.by_time:
            return items[np.argsort(first, kind="stable")] if first is not items else items
        floor_ns = self.tree.floor_ns[first].copy()
        for i in np.flatnonzero(items >= self.n).tolist():
            made = self._made[int(items[i]) - self.n]
            floor_ns[i] = made.floor_ns if isinstance(made, Group) else 0
        return items[np.lexsort((first, -floor_ns))]


def _inside(nodes: Int32, first: npt.NDArray[np.integer], end: Int32) -> Bool:
    """Which nodes lie in one of the subtrees ``first:end``, ascending; those that overlap are one inside the other."""
    if not len(first):
        return np.zeros(len(nodes), np.bool_)
    at = np.searchsorted(first, nodes, side="right") - 1
    inside: Bool = (at >= 0) & (np.maximum.accumulate(end)[at] > nodes)
    return inside


def children_of(tree: TreeTable, nodes: Int32, known: dict[int, Int32] | None = None) -> tuple[Int32, Int64]:
    """(the children of each of the nodes, ascending, those of one after those of another; the place in ``nodes`` of the
    parent of each). ``known`` keeps those that it takes long to find."""
    known = {} if known is None else known
    end = tree.end
    last = end[nodes]
    at, of = nodes + np.int32(1), np.arange(len(nodes))
    found: list[Int32] = []
    parents: list[npt.NDArray[np.int64]] = []
    for _ in range(_HOPS):
        left = at < last[of]
        at, of = at[left], of[left]
        if not len(at):
            break
        found.append(at)
        parents.append(of)
        at = end[at]
    left = at < last[of]
    for first, which in zip(at[left].tolist(), of[left].tolist(), strict=True):
        node = int(nodes[which])
        if node not in known:
            known[node] = first + np.flatnonzero(tree.parent[first : last[which]] == node).astype(np.int32)
        more = known[node]
        found.append(more)
        parents.append(np.full(len(more), which))
    if not found:
        return np.zeros(0, np.int32), np.zeros(0, np.int64)
    kids, of = np.concatenate(found), np.concatenate(parents).astype(np.int64)
    if len(nodes) > 1:
        order = np.argsort(of, kind="stable")
        kids, of = kids[order], of[order]
    return kids, of
