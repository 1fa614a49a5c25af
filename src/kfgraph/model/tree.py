"""TreeTable: what every view of a tree consumes. Each of its columns is declared once."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from kfgraph.model.background import beside
from kfgraph.model.calls import CallTable, Flag
from kfgraph.model.merging import BOUND, FIRST, KNOWN_SUM, LEAST, MOST, OR, SUM, Array, Rule

S = TypeVar("S", bound=np.generic)
Nodes = Array | slice | int
"""Which nodes: their numbers, a mask, a slice, or one."""
INTERRUPT_MARK = "⚡ "
"""Before the name of an interrupt, wherever it is shown."""
_PART = 1 << 18
_NO_CALLS = "nodes that are no calls"


class NodeKind(enum.IntEnum):
    """What a node is."""

    CALL = 0
    """A call, or several calls of one function."""
    TASK = 1
    """A task, above its outermost calls."""
    LOOP = 2
    """A sequence of calls that was repeated, above these calls; it counts no call of its own."""
    REST = 3
    """Calls that were left out, counted where they were."""
    INTERRUPT = 4
    """An interrupt, or several of one kind in a row, above the calls that it is made of; it counts no call of its
    own."""
    MADE = 5
    """A task below the call that made it: its time is in no total above it."""


class Column(Generic[S]):
    """One column of a TreeTable: all that the passes over trees must know of it.

    Args:
        merge: how the values of several nodes become one. None: it is the tree's structure, which every pass makes.
        blank: the value of a node that counts no call.
        own: it tells of a call without its callees, so that a subtree has the sum of all its nodes.
        to_caller: where a call is hidden, it becomes its caller's.
        of_one_call: it tells of single calls, nothing of a sum of calls of several functions; ``blank`` there.
        lacking: the values for these nodes of a tree that does not store the column, so that what is constant, or
            follows from other columns, takes no room. None: it must be stored.
        of_single: ``lacking`` holds where each node is one call; sums are stored.
        of_calls: makes it of a CallTable, for all its rows; None: who makes a tree gives it.
    """

    def __init__(
        self,
        dtype: type[S],
        merge: Rule | None,
        *,
        blank: int = 0,
        own: bool = False,
        to_caller: bool = False,
        of_one_call: bool = False,
        lacking: Callable[[TreeTable, Nodes], Array] | None = None,
        of_single: bool = False,
        of_calls: Callable[[CallTable], Array] | None = None,
    ) -> None:
        self.name = ""
        self.dtype, self.merge, self.blank, self.own = dtype, merge, blank, own
        self.to_caller, self.of_one_call = to_caller, of_one_call
        self.lacking, self.of_single, self.of_calls = lacking, of_single, of_calls

    def __set_name__(self, owner: type[TreeTable], name: str) -> None:
        self.name = name
        owner.COLUMNS[name] = self

    @overload
    def __get__(self, tree: None, owner: type[TreeTable]) -> Column[S]: ...
    @overload
    def __get__(self, tree: TreeTable, owner: type[TreeTable]) -> npt.NDArray[S]: ...
    def __get__(self, tree: TreeTable | None, owner: type[TreeTable]) -> Column[S] | npt.NDArray[S]:
        return self if tree is None else tree.whole(self.name)

    def __set__(self, tree: TreeTable, value: object) -> None:
        raise AttributeError(f"a TreeTable does not change: with_columns({self.name}=...) makes another one")


def _always(value: int | np.generic) -> Callable[[TreeTable, Nodes], Array]:
    def constant(tree: TreeTable, nodes: Nodes) -> Array:
        return np.broadcast_to(np.asarray(value), tree.label[nodes].shape)

    return constant


def _is_call(tree: TreeTable, nodes: Nodes) -> Array:
    calls: Array = tree.at("kind", nodes) == NodeKind.CALL
    return calls


def _ended_not(tree: TreeTable, nodes: Nodes) -> Array:
    ended_not: Array = ((tree.flags[nodes] & np.uint32(Flag.NO_EXIT)) != 0) | (tree.total_ns[nodes] < 0)
    return ended_not & _is_call(tree, nodes) if tree.has("kind") else ended_not


def _of_call(tree: TreeTable, nodes: Nodes) -> Array:
    total_ns: Array = tree.total_ns[nodes]
    return np.where(_is_call(tree, nodes), total_ns, -1) if tree.has("kind") else total_ns


def _failures(tree: TreeTable, nodes: Nodes) -> Array:
    return np.where(tree.at("error", nodes) != 0, tree.at("count", nodes), 0)


class TreeTable:
    """A forest in pre-order: node i's subtree is the slice ``i:end[i]``.

    A slice of a CallTable is one (``count`` 1, ``row`` the call's row), a merged call tree is one
    (``row`` -1). ``kind`` is a :class:`NodeKind`; ``label`` indexes ``labels``. ``total_ns`` and ``self_ns`` are sums
    over the merged calls whose value is known, -1 where none is; ``floor_ns`` is the least that all of them took
    together: total_ns, with the sum of its children for each call without a duration. ``min_ns`` and
    ``max_ns`` are over single calls. ``flags`` are the calls' flags, or-ed. ``own_cost_ns`` is kfgraph's own
    cost in the node itself, which no total and no self time holds: 0 none, an upper bound, or below 0 where it is
    not known: -1 - the part that is. ``asleep_ns`` and ``preempted_ns`` are how long the calls themselves were off the
    CPU, ``irq_ns`` what interrupts that hit them took; ``total_asleep_ns``, ``total_preempted_ns`` and ``total_irq_ns``
    how much of their totals that is; not stored where the trace does not tell. ``unknown_ns`` is the time of calls that
    were, or may have been, off the CPU for an unknown time, so it is neither on it nor off it; ``total_unknown_ns``
    that in their totals.
    ``n_interrupts`` is how many a ``NodeKind.INTERRUPT`` stands for. ``tracer_ns`` and ``total_tracer_ns`` are what was
    taken out of self and total because tracing took it, an estimate, ``uncertain_ns`` and ``total_uncertain_ns`` its
    uncertainty; stored where that was asked for. The columns of errors are those of :mod:`kfgraph.analyze.tree_errors`.

    A tree of single calls stores no counts, no least and no longest time. ``tree.count`` makes the whole column, and
    keeps it; ``tree.at("count", nodes)`` makes what is asked for.
    """

    COLUMNS: ClassVar[dict[str, Column[Any]]] = {}

    parent = Column(np.int32, None)
    end = Column(np.int32, None)
    level = Column(np.int16, None)
    kind = Column(np.uint8, FIRST, lacking=_always(np.uint8(NodeKind.CALL)))
    label = Column(np.int32, FIRST, of_calls=lambda calls: calls.func)
    total_ns = Column(np.int64, KNOWN_SUM)
    self_ns = Column(np.int64, KNOWN_SUM, own=True, to_caller=True)
    floor_ns = Column(np.int64, SUM, lacking=lambda tree, nodes: tree.total_ns[nodes])
    count = Column(np.int64, SUM, own=True, lacking=_is_call, of_single=True)
    n_unfinished = Column(np.int64, SUM, own=True, lacking=_ended_not, of_single=True)
    min_ns = Column(np.int64, LEAST, blank=-1, lacking=_of_call, of_single=True)
    max_ns = Column(np.int64, MOST, blank=-1, lacking=_of_call, of_single=True)
    row = Column(np.int32, FIRST, blank=-1, of_one_call=True)
    flags = Column(np.uint32, OR, of_one_call=True, of_calls=lambda calls: calls.flags)
    own_cost_ns = Column(np.int64, BOUND, own=True, to_caller=True, lacking=_always(np.int64(0)))
    error = Column(np.int16, FIRST, of_one_call=True, lacking=_always(np.int16(0)))
    error_sure = Column(np.bool_, FIRST, of_one_call=True, lacking=_always(np.False_))
    error_event = Column(np.bool_, FIRST, of_one_call=True, lacking=_always(np.False_))
    n_errors = Column(np.int64, SUM, lacking=_failures)
    irq_ns = Column(np.int64, SUM, own=True, to_caller=True, lacking=_always(np.int64(0)))
    asleep_ns = Column(np.int64, SUM, own=True, to_caller=True, lacking=_always(np.int64(0)))
    preempted_ns = Column(np.int64, SUM, own=True, to_caller=True, lacking=_always(np.int64(0)))
    total_irq_ns = Column(np.int64, SUM, lacking=_always(np.int64(0)))
    total_asleep_ns = Column(np.int64, SUM, lacking=_always(np.int64(0)))
    total_preempted_ns = Column(np.int64, SUM, lacking=_always(np.int64(0)))
    unknown_ns = Column(np.int64, SUM, own=True, to_caller=True, lacking=_always(np.int64(0)))
    total_unknown_ns = Column(np.int64, SUM, lacking=_always(np.int64(0)))
    n_interrupts = Column(np.int32, SUM, lacking=_always(np.int32(0)))
    tracer_ns = Column(np.int64, SUM, own=True, to_caller=True, lacking=_always(np.int64(0)))
    uncertain_ns = Column(np.int64, SUM, own=True, to_caller=True, lacking=_always(np.int64(0)))
    total_tracer_ns = Column(np.int64, SUM, lacking=_always(np.int64(0)))
    total_uncertain_ns = Column(np.int64, SUM, lacking=_always(np.int64(0)))
    errors_differ = Column(np.bool_, OR, of_one_call=True, lacking=_always(np.False_))

    __slots__ = ("_made", "_stored", "labels")

    def __init__(self, labels: tuple[str, ...], **columns: Array) -> None:
        for name, column in self.COLUMNS.items():
            if name not in columns and column.lacking is None:
                raise TypeError(f"a TreeTable needs the column {name}")
        if unknown := columns.keys() - self.COLUMNS.keys():
            raise TypeError(f"a TreeTable has no column {min(unknown)}")
        self._stored = columns
        self._made: dict[str, Array] = {}
        self.labels = labels

    @classmethod
    def of_calls(cls, calls: CallTable, rows: Array | slice, labels: tuple[str, ...], **given: Array) -> TreeTable:
        """The tree of these rows: what is not ``given`` is made of the CallTable."""
        for name, column in cls.COLUMNS.items():
            if name not in given and column.of_calls:
                given[name] = column.of_calls(calls)[rows].astype(column.dtype, copy=False)
        return cls(labels, **given)

    def __len__(self) -> int:
        return len(self._stored["parent"])

    def has(self, name: str) -> bool:
        """Whether the tree stores this column: what nothing tells of, and what follows from others, is not stored."""
        return name in self._stored

    def at_least_ns(self) -> Array | None:
        """The least that the calls of each node took together (-1: not known), as trees show it; None: it is the total
        everywhere."""
        bound = (self.total_ns < 0) | (self.n_unfinished > 0)
        return np.where(bound & (self.floor_ns <= 0), -1, self.floor_ns) if bound.any() else None

    def at(self, name: str, nodes: Nodes) -> Array:
        """The values of a column for some nodes, whether it is stored or not."""
        stored = self._stored.get(name, self._made.get(name))
        if stored is not None:
            values: Array = stored[nodes]
            return values
        column = self.COLUMNS[name]
        assert column.lacking is not None
        return column.lacking(self, nodes).astype(column.dtype, copy=False)

    def whole(self, name: str) -> Array:
        """The whole column, whether it is stored or not."""
        stored = self._stored.get(name, self._made.get(name))
        if stored is None:
            stored = self.at(name, slice(None))
            self._made[name] = stored
        return stored

    def parts_below(self, tops: Array, above: Array, n: int) -> dict[str, npt.NDArray[np.int64]]:
        """For ``n`` new nodes, ``above[k]`` of which stands above ``tops[k]``: how much of their totals is what, in all
        columns that tell this and are stored."""
        found = {}
        for name in self._stored:
            if name.startswith("total_") and name != "total_ns":
                found[name] = np.zeros(n, np.int64)
                np.add.at(found[name], above, self.at(name, tops))
        return found

    def merging(self) -> Iterator[tuple[Column[Any], Rule]]:
        """The columns, but for the structure, that a tree of sums of this one's nodes must store."""
        for name, column in self.COLUMNS.items():
            if column.merge and (name in self._stored or column.of_single):
                yield column, column.merge

    def n_calls(self, nodes: Array) -> Array:
        """How many calls each of the nodes and all below it stand for."""
        end = self.end[nodes]
        if not self.has("count"):
            n_calls: Array = (end - nodes).astype(np.int64)
            if self.has("kind"):
                others = self._made.get(_NO_CALLS)
                if others is None:
                    others = self._made[_NO_CALLS] = np.flatnonzero(self.kind != NodeKind.CALL)
                n_calls -= np.searchsorted(others, end) - np.searchsorted(others, nodes)
            return n_calls
        before = np.zeros(len(self) + 1, np.int64)
        np.cumsum(self.count, out=before[1:])
        return before[end] - before[nodes]

    @property
    def roots(self) -> npt.NDArray[np.int32]:
        """The nodes without parent, ascending."""
        return np.flatnonzero(self.parent < 0).astype(np.int32)

    @property
    def tasks_below(self) -> npt.NDArray[np.int32]:
        """The nodes that are tasks below a call, or another task, that made them."""
        if not self.has("kind"):
            return np.zeros(0, np.int32)
        return np.flatnonzero(self.kind == NodeKind.MADE).astype(np.int32)

    def with_columns(self, **columns: Array) -> TreeTable:
        """The same tree with some columns replaced, or more of them."""
        return type(self)(self.labels, **{**self._stored, **columns})

    def with_labels(self, labels: tuple[str, ...]) -> TreeTable:
        """The same tree with other labels in the place of its own."""
        return type(self)(labels, **self._stored)

    def take(self, nodes: Array, **given: Array) -> TreeTable:
        """These nodes; ``given`` columns are theirs, the others taken as they are, references too."""
        taken = {name: column[nodes] for name, column in self._stored.items() if name not in given}
        return type(self)(self.labels, **taken, **given)

    def join(self, kept: Array, rest: Array, into: Array, **given: Array) -> TreeTable:
        """The nodes ``kept``, with ``rest[k]`` merged into the one at ``into[k]`` of them; each node is in one of both.

        The structure is ``given``, with whatever does not merge as its column says.
        """
        for column, rule in self.merging():
            if column.name not in given:
                values = np.array(self.at(column.name, kept))
                # In pieces, so that what is taken out fits into a cache; the first of several is there already.
                for first in range(0, 0 if rule is FIRST else len(rest), _PART):
                    part = slice(first, first + _PART)
                    values = rule.into(values, self.at(column.name, rest[part]), into[part])
                given[column.name] = values
        return type(self)(self.labels, **given)

    def under(self, first: Array, labels: tuple[str, ...], **given: Any) -> TreeTable:
        """New roots that count no call, each above whole trees that stand together: those from ``first`` on (ascending,
        from 0) up to the next one's.

        ``given`` are values of the new roots; the others are blank.
        """
        n, n_new = len(self), len(first)
        new = first + np.arange(n_new, dtype=np.int32)
        end = np.append(first[1:], n)
        top = np.flatnonzero(self.parent < 0)
        above = np.searchsorted(first, top, side="right") - 1
        given = {**given, "parent": -1, "end": end + np.arange(1, n_new + 1), "level": 0}
        # What stands together moves as a whole.
        pieces = list(zip(new.tolist(), first.tolist(), end.tolist(), strict=True))

        def moved(column: Column[Any]) -> Array:
            name, values = column.name, self.whole(column.name)
            out: Array = np.empty(n + n_new, values.dtype)
            out[new] = given.get(name, column.blank)
            for i, (node, begin, stop) in enumerate(pieces):
                shift = {"parent": i + 1, "end": i + 1, "level": 1}.get(name)
                part = out[node + 1 : node + 1 + stop - begin]
                if shift is None:
                    part[:] = values[begin:stop]
                else:
                    np.add(values[begin:stop], values.dtype.type(shift), out=part)
            return out

        columns = [
            column
            for name, column in self.COLUMNS.items()
            if name in self._stored or (name in given and not column.of_single)
        ]
        # Most of it is waiting for memory that the kernel clears: on two CPUs at once, the larger half here.
        half = sorted(columns, key=lambda column: np.dtype(column.dtype).itemsize)[1::2]
        others = [column for column in columns if column not in half]
        worker = beside(lambda: [moved(column) for column in others], n_bytes=n)
        filled = {column.name: moved(column) for column in half}
        rest = worker.result() if worker else map(moved, others)
        filled |= zip((column.name for column in others), rest, strict=True)
        filled["parent"][top + above + 1] = new[above]
        return type(self)(labels, **filled)

    def inserted(self, at: Array, labels: tuple[str, ...], place: Array, **given: Array) -> TreeTable:
        """New nodes that count no call, at ``at`` (ascending) of the new tree; the others stand at ``place``, which are
        their numbers or a mask.

        ``given`` are values of the new nodes, for ``parent``, ``end`` and ``level`` those of all nodes; what is not
        given is blank.
        """
        n = len(self) + len(at)
        filled: dict[str, Array] = {name: given.pop(name) for name in ("parent", "end", "level")}
        for name, column in self.COLUMNS.items():
            if name in filled or (name not in self._stored and (name not in given or column.of_single)):
                continue
            values = self.whole(name)
            filled[name] = out = np.full(n, column.blank, values.dtype)
            out[place] = values
            if name in given:
                out[at] = given[name]
        return type(self)(labels, **filled)

    def check(self) -> None:
        """Assert the shape: pre-order, nested subtrees, levels.

        Raises:
            AssertionError: naming the rule that is broken.
        """
        n = len(self)
        for name, values in self._stored.items():
            assert len(values) == n, f"column {name} has {len(values)} rows, not {n}"
            assert values.dtype == self.COLUMNS[name].dtype, f"dtype of {name} is {values.dtype}"
        nodes = np.arange(n)
        child = np.flatnonzero(self.parent >= 0)
        parent = self.parent[child]
        assert (parent < child).all(), "parent not before child"
        assert (self.level[child] == self.level[parent] + 1).all(), "level is not the parent's + 1"
        assert ((self.end > nodes) & (self.end <= n)).all(), "end outside the table"
        assert (self.end[child] <= self.end[parent]).all(), "subtree reaches past its parent's"
        assert ((self.label >= 0) & (self.label < len(self.labels))).all(), "label outside its table"
