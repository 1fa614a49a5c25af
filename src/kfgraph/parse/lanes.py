"""Lanes while they are paired: who owns which stack, its open end, and what losses did to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from kfgraph.model.calls import Flag

NEVER = 0x7FFFFFFF
"""No node is as young: a call of which nothing is in doubt."""
_CUT = int(Flag.CUT_BY_LOSS)
"""As a number: the enum's own "or" takes longer than all else that is done to a call here."""


class Lanes:
    """Who owns which stack, and the open end of each stack."""

    def __init__(self) -> None:
        self.flags: Any = memoryview(b"")
        """The nodes' flags, which CUT_BY_LOSS is put into."""
        self.keys: list[tuple[int, int]] = []
        self._numbers: dict[tuple[int, int], int] = {}
        self.top = np.empty(0, np.int32)
        self.last_root = np.empty(0, np.int32)
        self.last_node = np.empty(0, np.int32)
        self.last_cpu = np.empty(0, np.int32)
        self.last_time = np.empty(0, np.int64)
        self.gap_end = np.empty(0, np.int64)
        self.cpu_pid = np.empty(0, np.int64)
        self.cpu_lane = np.empty(0, np.int32)
        self.cpu_time = np.empty(0, np.int64)
        self.cpu_gap_end = np.empty(0, np.int64)
        self.n_gaps = np.empty(0, np.int32)
        """Gaps of its last CPU that a lane's open calls have been told of; ``cpu_n_gaps``: how many there were."""
        self.cpu_n_gaps = np.empty(0, np.int32)
        self.cpu_in_gap = np.empty(0, np.int32)
        self.gaps: dict[int, list[int]] = {}
        """CPU -> when the last record before each of its gaps was made."""
        self.n_back = 0
        """Records that are before the one before them in their lane."""
        self.n_strange = 0
        """Exits that are not those of the call that was open at their depth, though no loss is between."""
        self.pending: dict[int, tuple[int, int]] = {}
        """CPU -> (how many were lost or -1, time of the last record before the gap)."""
        self.begins: list[int] = []
        """The begin of each gap that is over, in the order of their ends."""
        self.cuts: dict[int, list[int]] = {}
        """Open node -> [losses while it was innermost, or in a child that is over; those that a returned child
        spans too; the first gap's begin; the first node, and the first place, behind the first gap in which it may
        have returned]. What falls into an open child is its caller's when the child is over."""
        self.over_in_gap: dict[int, int] = {}
        """Node that was not seen to return, and may have in a gap -> the first place behind that gap."""

    def view(self, name: str) -> Any:
        """One of the arrays as a memoryview, valid until a lane or CPU is added."""
        return memoryview(getattr(self, name))

    def fit_cpus(self, highest: int) -> None:
        """Room for CPUs -1..highest in the per-CPU arrays (index cpu + 1)."""
        missing = highest + 2 - len(self.cpu_pid)
        if missing > 0:
            self.cpu_pid = np.append(self.cpu_pid, np.full(missing, -2, np.int64))
            self.cpu_lane = np.append(self.cpu_lane, np.full(missing, -1, np.int32))
            self.cpu_time = np.append(self.cpu_time, np.full(missing, -1, np.int64))
            self.cpu_gap_end = np.append(self.cpu_gap_end, np.full(missing, -1, np.int64))
            self.cpu_n_gaps = np.append(self.cpu_n_gaps, np.zeros(missing, np.int32))
            self.cpu_in_gap = np.append(self.cpu_in_gap, np.zeros(missing, np.int32))

    def number(self, pid: int, cpu: int) -> int:
        """The lane of this pid (of this CPU if the pid is 0 or not told), made when new."""
        key = (pid, cpu if pid <= 0 else -1)
        lane = self._numbers.get(key)
        if lane is None:
            lane = self._numbers[key] = len(self.keys)
            self.keys.append(key)
            if lane >= len(self.top):
                more = max(64, lane)
                self.top = np.append(self.top, np.full(more, -1, np.int32))
                self.last_root = np.append(self.last_root, np.full(more, -1, np.int32))
                self.last_node = np.append(self.last_node, np.full(more, -1, np.int32))
                self.last_cpu = np.append(self.last_cpu, np.full(more, -1, np.int32))
                self.last_time = np.append(self.last_time, np.full(more, -1, np.int64))
                self.gap_end = np.append(self.gap_end, np.full(more, -1, np.int64))
                self.n_gaps = np.append(self.n_gaps, np.zeros(more, np.int32))
        return lane

    def tops(self) -> list[int]:
        """The innermost open call of every lane, -1 where none is open."""
        return [int(top) for top in self.top[: len(self.keys)]]

    def lose(self, cpu: int, n_lost: int) -> None:
        """Records of ``cpu`` were lost: every call open on it is cut, when its lane comes up again."""
        gap_begin = int(self.cpu_time[cpu + 1])
        if cpu in self.pending:
            # Two gaps with nothing between them are one place.
            before, gap_begin = self.pending[cpu]
            n_lost = before + n_lost if before >= 0 and n_lost >= 0 else -1
            self.pending[cpu] = (n_lost, gap_begin)
            return
        self.pending[cpu] = (n_lost, gap_begin)
        self.gaps.setdefault(cpu, []).append(gap_begin)
        self.cpu_n_gaps[cpu + 1] += 1
        self.cpu_in_gap[cpu + 1] = 1

    def catch_up(self, lane: int, n_nodes: int, n_places: int) -> None:
        """The gaps on the CPU on which ``lane`` was last seen cut its innermost open call.

        ``n_nodes`` and ``n_places`` stand before them.
        """
        cpu = int(self.last_cpu[lane])
        known, self.n_gaps[lane] = int(self.n_gaps[lane]), self.cpu_n_gaps[cpu + 1]
        if self.top[lane] >= 0:
            n = int(self.cpu_n_gaps[cpu + 1]) - known
            self._cut(int(self.top[lane]), self.gaps[cpu][known], n_nodes, n_places, n=n)

    def catch_up_all(self, n_nodes: int, n_places: int) -> None:
        """The same for every lane: there are no more records."""
        if not self.gaps:
            return
        for lane in range(len(self.keys)):
            cpu = int(self.last_cpu[lane])
            if cpu >= -1 and self.n_gaps[lane] != self.cpu_n_gaps[cpu + 1]:
                self.catch_up(lane, n_nodes, n_places)

    def resume(self, cpu: int, lane: int, time: int, n_nodes: int, n_places: int) -> int:
        """The first record after a gap on ``cpu`` is ``lane``'s: how many were lost before it."""
        n_lost, begin = self.pending.pop(cpu)
        self.begins.append(begin)
        self.cpu_in_gap[cpu + 1] = 0
        self.cpu_gap_end[cpu + 1] = time
        self.gap_end[lane] = time
        if self.last_cpu[lane] != cpu:
            self.arrive(cpu, lane, n_nodes, n_places)
        return n_lost

    def arrive(self, cpu: int, lane: int, n_nodes: int, n_places: int) -> None:
        """``lane`` came to ``cpu`` after a gap there that it has not been seen to outlast elsewhere.

        It may have come during the gap: what it did there is lost all the same. (One that came and
        left again within the gap cannot be told.)
        """
        self.gap_end[lane] = self.cpu_gap_end[cpu + 1]
        self._cut(int(self.top[lane]), int(self.last_time[lane]), n_nodes, n_places)

    def visited(self, node: int, began: int, n_nodes: int, n_places: int) -> None:
        """The open call ``node`` returned while its task was on a CPU whose records were lost, and came back unseen."""
        self._cut(node, began, n_nodes, n_places)

    def _cut(self, node: int, gap_begin: int, n_nodes: int, n_places: int, *, n: int = 1) -> None:
        if node < 0:
            return
        self.flags[node] |= _CUT
        cut = self.cuts.setdefault(node, [0, 0, gap_begin, n_nodes, n_places])
        cut[0] += n
        if cut[3] == NEVER:
            cut[3:] = n_nodes, n_places

    def began_before_gap(self, node: int, began: int) -> bool:
        """Whether a call that began at ``began`` can be ``node``, which a loss cut."""
        return self.cuts[node][2] < 0 or began <= self.cuts[node][2]

    def survive(self, node: int, parent: int) -> bool:
        """``node`` returned: did all the losses it was open at spare its direct children?

        A loss that fell into one open child of it cost no direct child of its own. Its caller was open at them too.
        """
        n_losses, n_spanned, gap_begin, _, _ = self.cuts.pop(node)
        if parent >= 0:
            self._hand_up(parent, n_losses, gap_begin, NEVER, NEVER)
            self.cuts[parent][1] += n_losses
        return n_spanned >= n_losses

    def give_up(self, node: int, parent: int) -> int:
        """``node`` was not seen to return. The first node behind the gap in which it may have.

        The losses that it was open at are its caller's too, and it may have returned in that gap as well.
        """
        n_losses, _, gap_begin, first, place = self.cuts.pop(node)
        if first != NEVER:
            self.over_in_gap[node] = place
        if parent >= 0:
            self._hand_up(parent, n_losses, gap_begin, first, place)
        return first

    def _hand_up(self, parent: int, n_losses: int, gap_begin: int, first: int, place: int) -> None:
        self.flags[parent] |= _CUT
        cut = self.cuts.setdefault(parent, [0, 0, gap_begin, first, place])
        cut[0] += n_losses
        if first < cut[3]:
            cut[3:] = first, place
