"""Whether an exit without a name can be that of the call that is open at its depth: the times decide.

The exit's time less its duration is when the call began, but for the tracer's own delay between taking a
time and writing the record. Where the two are further apart than ``stacks`` takes for that delay, this
module looks for what stands between. Measured on the texts of real recordings, with the pairs that their
trace.dat proves (tests/pairing/agreement.py):

- An entry's record may be late. No wrong pair looks like that: the call that is open at a depth is the
  youngest, so a wrong one began too early.
- An exit's record may be late because an interrupt came between the return and the record: then the first
  call after the return is the entry of an interrupt. Or because the machine stood still (a guest that was
  stopped), then nothing at all was recorded since the return. But an exit that skips calls that are open
  inside it shows that records are missing, and irq_enter returns in the interrupt, where its record may
  have been left out.
- A recording with nosleep-time has no time asleep in its durations: it passed after a call that waits.
- Timestamps of the clock ``global`` stand still for milliseconds while another CPU is ahead. That they stood
  elsewhere explains a tenth of one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from kfgraph.kernel.interrupts import level_of
from kfgraph.parse.records import LEAF, RecordBatch

NO, YES, STRETCHED, SELF_UNKNOWN = range(4)
"""Answers of ``agree``: the pair is none; it is one; it is one and slept; it is one and its times are coarse."""
_NEAR = 5_000
_ROUNDED = 1_500
"""Times of a text are rounded to 1 us."""
_STALL = 6_000_000
"""The longest time between a return and its record, in ns: 5.5 ms in 3 million pairs."""
_LATE_ENTRY = 10_000_000
_FEWER_DIGITS = 10_000_000
"""From here on a text has less than three decimals of a duration."""
_COARSE = 100_000
"""A clock that several CPUs share is that coarse where it stood now and then, in ns: 0.09 ms in 400,000 pairs."""
_SLEEPS = 1_000_000
"""A call that waits and lasted that long has its time asleep in its duration."""
_ENTERS = 1
_INTERRUPT = 2
_WAITS = 4
_WAKES = 8
_PART = 16
"""Of an interrupt: its entry, its end, or what runs between them."""


class Delays:
    """The judge of one stream of records."""

    def __init__(self) -> None:
        self.facts: Callable[[], Mapping[str, Any]] | None = None
        """``Scanner.facts``: the names so far, and whether times are ticks. None: exits prove themselves."""
        self._n_names = 0
        self._traits = bytearray()
        self._stretch: dict[int, int] = {}
        self._n_looked = 0
        self._sleep_counts = False
        self._stands = False
        self._stood: npt.NDArray[np.int64] | None = None

    def begin(self, batch: RecordBatch, n: int, nodes: dict[str, npt.NDArray[Any]]) -> bool:
        """The next batch, and where its calls go; whether there are times to judge by."""
        if self.facts is None:
            return False
        facts = self.facts()
        if facts["ticks"]:
            return False
        for name in islice(facts["names"], self._n_names, None):
            self._traits.append(_traits_of(name))
        self._n_names = len(self._traits)
        self._batch, self._n = batch, n
        self._stood = None
        self._columns = nodes
        names = ("func", "start", "duration", "depth", "last_child", "previous")
        views: list[Any] = [nodes[name].data for name in names]
        self._func, self._start, self._duration, self._depth, self._last, self._previous = views
        return True

    def end(self) -> None:
        """There are no more records: the columns are let go."""
        self._columns = {}
        self._func = self._start = self._duration = self._depth = self._last = self._previous = ()

    def interrupts(self) -> npt.NDArray[np.bool_]:
        """Which names, by code, are those of an interrupt's entry. A text's only."""
        names = self.facts()["names"] if self.facts else ()
        found = (bool(_traits_of(name) & _INTERRUPT) or level_of(name.decode("latin-1")) > 0 for name in names)
        return np.fromiter(found, np.bool_)

    def agree(self, node: int, time: int, duration: int, skipped: bool, youngest: int) -> int:
        """Whether an exit at ``time`` that lasted ``duration`` can be that of ``node``.

        ``skipped``: the exit leaves calls inside it open. ``youngest``: the lane's last call that began.
        """
        delta = time - duration - self._start[node]
        if self.refutes(node, time, duration):
            return NO
        if delta < 0:
            if -delta <= _LATE_ENTRY:
                return YES
        elif not skipped:
            if self._was_late(node, duration, delta, youngest):
                return YES
            if self._slept(node, time, delta):
                return STRETCHED
        if not skipped and abs(delta) <= _LATE_ENTRY and self._clock_stood(self._start[node], time, delta):
            return SELF_UNKNOWN
        return NO

    def refutes(self, node: int, time: int, duration: int) -> bool:
        """Whether the callees of ``node`` lasted longer than ``duration``, one after the other, by ``time``.

        What is not one deeper is an interrupt, which may have hit the tracer: then it is not in the duration. Beside
        one that is known by its name nothing is refuted: not all of its parts are. If they lasted longer than there was
        time, their own durations are wrong.
        """
        took, child, depth = 0, self._last[node], self._depth[node] + 1
        while child >= 0:
            if self._traits[self._func[child]] & (_INTERRUPT | _PART):
                return False
            if self._depth[child] == depth and self._duration[child] > 0:
                took += self._duration[child]
            child = self._previous[child]
        digits = duration // 10_000 if duration >= _FEWER_DIGITS else 0
        return bool(duration + digits < took <= time - self._start[node] + _ROUNDED)

    def _was_late(self, node: int, duration: int, delta: int, youngest: int) -> bool:
        """An interrupt, or nothing at all, came between the return and the exit's record."""
        returned = self._start[node] + duration
        first, child = -1, self._last[node]
        while child >= 0 and self._began_after(child, returned):
            first, child = child, self._previous[child]
        if child >= 0 and self._over(child) > returned + 2 * _NEAR:
            # It would have returned before its callee, whose own record may be late as well.
            return False
        if first < 0:
            if youngest != node and self._began_after(youngest, returned):
                # Something began deeper inside, after it would have returned.
                return False
            return delta <= _STALL and not self._traits[self._func[node]] & _ENTERS
        if self._depth[first] > self._depth[node] and self._start[first] <= returned + _ROUNDED:
            # It may have hit the call before it returned; then the exit belongs to another one.
            return False
        return bool(self._traits[self._func[first]] & _INTERRUPT) and self._start[first] - returned <= _STALL

    def _began_after(self, node: int, time: int) -> bool:
        """Whether it began after ``time``: one that began at it, as times are rounded, is not over by then."""
        if self._start[node] < time - _ROUNDED:
            return False
        return self._duration[node] < 0 or self._start[node] > time or self._over(node) > time + _ROUNDED

    def _over(self, node: int) -> int:
        """When it returned, or began if that is not known."""
        over: int = self._start[node] + max(self._duration[node], 0)
        return over

    def _slept(self, node: int, time: int, delta: int) -> bool:
        """The time that is missing in the duration passed while the task waited (nosleep-time)."""
        waits = bool(self._traits[self._func[node]] & _WAITS)
        asleep, following, wakes = 0, time, False
        child = self._last[node]
        while child >= 0:
            traits = self._traits[self._func[child]]
            stretch = self._stretch.get(child, 0)
            over = self._start[child] + max(self._duration[child], 0) + stretch
            if (waits or wakes or traits & _WAITS) and following - over > _ROUNDED:
                asleep += following - over
            asleep += stretch
            following, wakes = self._start[child], bool(traits & _WAKES)
            child = self._previous[child]
        if waits:
            asleep += following - self._start[node]
        if abs(asleep - delta) > _NEAR + delta // 50 and not (waits and asleep > delta):
            return False
        if self._sleep_is_counted(node):
            return False
        self._stretch[node] = delta
        return True

    def _sleep_is_counted(self, end: int) -> bool:
        """Whether a call before ``end`` that waits was seen to last: then durations have the time asleep in them."""
        if not self._sleep_counts and end > self._n_looked:
            waiting = np.frombuffer(self._traits, np.uint8) & _WAITS != 0
            long = self._n_looked + np.flatnonzero(self._columns["duration"][self._n_looked : end] >= _SLEEPS)
            self._n_looked = end
            self._sleep_counts = bool(waiting[self._columns["func"][long]].any())
        return self._sleep_counts

    def _clock_stood(self, start: int, time: int, delta: int) -> bool:
        """Whether the clock explains it: calls took time between records of one CPU that have the same timestamp.

        One that stood anywhere so far is coarse; what is longer has to have passed while it stood.
        """
        if self._stood is None:
            batch, n = self._batch, self._n
            same = (batch.time[: n - 1] == batch.time[1:n]) & (batch.cpu[: n - 1] == batch.cpu[1:n])
            took = np.where(same & (batch.kind[: n - 1] == LEAF), np.maximum(batch.duration[: n - 1], 0), 0)
            # Leaves of one timestamp are summed: short ones show it as well.
            group = np.cumsum(~same)
            self._stood = np.sort(batch.time[: n - 1][(np.bincount(group, took) >= _NEAR)[group]])
            self._stands = self._stands or len(self._stood) > 0
        if abs(delta) <= _COARSE:
            return self._stands
        first, end = np.searchsorted(self._stood, [min(start, time), max(start, time) + 1])
        return bool(first < end)


@cache
def _patterns() -> tuple[tuple[int, re.Pattern[bytes]], ...]:
    """Names by what they say. Compiled for texts only: a trace.dat's exits prove themselves."""
    enters = rb"(?:irq|nmi)_enter(?:_\w+)?"
    interrupts = (
        rb"|(?:__)?sysvec_\w+|asm_\w+|do_IRQ|(?:__)?common_interrupt|smp_\w+_interrupt|exc_nmi|default_do_nmi"
        rb"|do_(?:io|ext)_irq|do_irq_async|do_extint|do_airq_interrupt|do_interrupt_handler|riscv_intc_irq|handle_riscv_irq"
        rb"|el[01]\w*_(?:irq|interrupt)\w*|gic_handle_irq|(?:generic_)?handle_arch_irq"
    )
    return (
        (_ENTERS, re.compile(enters)),
        (_INTERRUPT, re.compile(enters + interrupts)),
        (_WAITS, re.compile(rb"(?:__|io_|preempt_|rt_mutex_)?schedule(?:_\w+)?")),
        (_WAKES, re.compile(rb"finish_task_switch|schedule_tail")),
    )


def _traits_of(name: bytes) -> int:
    """What a function's name says about the times of its records."""
    plain = name.split(b" ", 1)[0].split(b".", 1)[0]
    part = _PART if level_of(plain.decode("latin-1")) else 0
    return part + sum(trait for trait, pattern in _patterns() if pattern.fullmatch(plain))
