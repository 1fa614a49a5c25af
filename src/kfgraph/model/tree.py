"""TreeTable: what every view of a tree consumes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class TreeTable:
    """A forest in pre-order: node i's subtree is the slice ``i:end[i]``.

    A slice of a CallTable is one (``count`` 1, ``row`` the call's row), a merged call tree is one
    (``row`` -1). ``label`` indexes ``labels``. ``total_ns`` and ``self_ns`` are sums over the merged
    calls whose value is known, -1 where none is; ``floor_ns`` is the least that all of them took
    together: total_ns, with the sum of its children for each call without a duration. ``min_ns`` and
    ``max_ns`` are over single calls. ``flags`` are the calls' flags, or-ed. ``own_cost_ns`` is kfgraph's own
    cost in the node itself, which no total and no self time holds: 0 none, an upper bound, or below 0 where it is
    not known: -1 - the part that is.
    """

    parent: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    level: npt.NDArray[np.int16]
    label: npt.NDArray[np.int32]
    total_ns: npt.NDArray[np.int64]
    self_ns: npt.NDArray[np.int64]
    floor_ns: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    n_unfinished: npt.NDArray[np.int64]
    min_ns: npt.NDArray[np.int64]
    max_ns: npt.NDArray[np.int64]
    row: npt.NDArray[np.int32]
    flags: npt.NDArray[np.uint32]
    labels: tuple[str, ...]
    own_cost_ns: npt.NDArray[np.int64]
    extras: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.parent)

    @property
    def roots(self) -> npt.NDArray[np.int32]:
        """The nodes without parent, ascending."""
        return np.flatnonzero(self.parent < 0).astype(np.int32)

    def check(self) -> None:
        """Assert the shape: pre-order, nested subtrees, levels.

        Raises:
            AssertionError: naming the rule that is broken.
        """
        n = len(self)
        nodes = np.arange(n)
        child = np.flatnonzero(self.parent >= 0)
        parent = self.parent[child]
        assert (parent < child).all(), "parent not before child"
        assert (self.level[child] == self.level[parent] + 1).all(), "level is not the parent's + 1"
        assert ((self.end > nodes) & (self.end <= n)).all(), "end outside the table"
        assert (self.end[child] <= self.end[parent]).all(), "subtree reaches past its parent's"
        assert ((self.label >= 0) & (self.label < len(self.labels))).all(), "label outside its table"
