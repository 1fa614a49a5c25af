"""The rows of a folded tree: what each shows, and what it leaves out."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int16, Int32, Int64
from kfgraph.analyze.named_calls import NONE_NAMED, Named
from kfgraph.analyze.repeats import Repeats
from kfgraph.analyze.sibling_groups import Gathered
from kfgraph.model.tree import TreeTable


class Kind(enum.IntEnum):
    """What a row is."""

    CALL = 0
    REST = 1
    """The hidden children of the node above it."""
    LOSS = 2
    EVENT = 3
    """Another event of the trace, see :mod:`kfgraph.analyze.event_rows`."""
    OWN_COST = 4
    """kfgraph's own cost, see :mod:`kfgraph.analyze.cost_rows`."""


class LossDetail(NamedTuple):
    """Lost records at one place: how many each loss was (-1: not counted), how long from the last record of its CPU
    before it to the first after it (-1: not known), on which CPU."""

    counts: tuple[int, ...]
    lasted_ns: tuple[int, ...] = ()
    cpus: tuple[int, ...] = ()


class EventDetail(NamedTuple):
    """One event."""

    name: str
    text: str


class MoreEventsDetail(NamedTuple):
    """``n`` further events at one place, which get no rows. ``name`` is "" where they have different names."""

    n: int
    name: str


class OwnCostDetail(NamedTuple):
    """kfgraph's own cost; ``function`` is the call that includes it where that is not the row above ("": it is)."""

    function: str
    label: str


Detail = LossDetail | EventDetail | MoreEventsDetail | OwnCostDetail
"""What a row that is no call stands for."""


@dataclass(frozen=True, eq=False, repr=False)
class Folded:
    """The rows to show, top to bottom, as equal-length columns; and what they leave out.

    ``tree`` has its runs folded: ``times[i]`` members are in node i's run. Nodes that ``is_sum`` stand for calls of
    one function that do not stand together, behind the other callees of their caller. A CALL row shows ``node``; a
    REST row stands for the hidden children of ``node`` (-1: for hidden roots), at their ``level``. ``hidden_calls``,
    ``hidden_ns``, ``hidden_losses`` and ``hidden_events`` are, for a REST row, what it stands for; for a CALL row,
    what of its children is hidden without a REST row. ``why`` is the first reason of it. ``share`` is of the root's
    total; ``hot`` a parent's slowest child, ``hot_path`` those reached from the root through hot ones only.
    LOSS, EVENT and OWN_COST rows are inside the call ``node`` and show ``details[detail]``;
    ``hidden_ns`` of an OWN_COST row is the cost (-1: not known). ``n_errors_hidden`` calls failed and
    are on no row, ``n_unsure_hidden`` others seem to have; ``readable_ns`` is a least time with which a few screens
    would show all (0: whatever it is). ``gathers_much``: calls were summed up since much of the time was hidden else.
    ``named`` counts what was asked for by name. ``first_repeats`` are the runs that were found at first.
    """

    tree: TreeTable
    times: Int64
    is_sum: Bool
    repeats: Repeats
    gathered: Gathered | None
    visible: Bool
    n_errors_hidden: int
    n_unsure_hidden: int
    readable_ns: int
    kind: npt.NDArray[np.uint8]
    node: Int32
    level: Int16
    hidden_calls: Int64
    hidden_ns: Int64
    hidden_losses: Int64
    hidden_events: Int64
    why: npt.NDArray[np.uint8]
    share: npt.NDArray[np.float64]
    hot: Bool
    hot_path: Bool
    detail: npt.NDArray[np.int32]
    details: tuple[Detail, ...] = ()
    gathers_much: bool = False
    named: Named = NONE_NAMED
    first_repeats: Repeats | None = None

    ROW_COLUMNS: ClassVar[tuple[str, ...]] = (
        "kind", "node", "level", "hidden_calls", "hidden_ns", "hidden_losses", "hidden_events", "why", "share", "hot",
        "hot_path", "detail",
    )  # fmt: skip

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def node_of(self) -> Int32:
        """The node that each node of the tree before is part of."""
        of = self.repeats.node_of
        return of if self.gathered is None else self.gathered.node_of[of]

    def next_kept(self, nodes: Int32) -> Int32:
        """For each of these nodes of the tree before, the first at or after it that is no sum (len(tree): none)."""
        now = self.repeats.node_of[nodes]
        return now if self.gathered is None else self.gathered.next_kept(now)

    @property
    def n_hidden(self) -> int:
        """Calls that are not shown."""
        return int(self.hidden_calls.sum())

    @property
    def n_shown(self) -> int:
        """Calls that are."""
        return int(self.tree.at("count", self.node[self.kind == Kind.CALL]).sum())
