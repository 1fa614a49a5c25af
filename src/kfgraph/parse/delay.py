"""Whether an exit without a name can be that of the call that is open at its depth: the times decide.

The exit's time less its duration is when the call began, but for the tracer's own delay between taking a
time and writing the record. Where the two are further apart than ``stacks`` takes for that delay, this
module looks for what stands between. Measured on the texts of real recordings, with the pairs that their
trace.dat proves (tests/pairing/agreement.py):

- An entry's record may be late. Its caller's entry and the end of the call before it were recorded before it was
  called; only an interrupt that hit the tracer stands between.
- An exit's record may be late because an interrupt came between the return and the record: then nothing but parts
  of an interrupt were recorded since the return. Or because the machine stood still (a guest that was stopped),
  then its CPU recorded nothing at all since. irq_enter returns in the interrupt, where its record may have been
  left out.
- Where records are missing or in disorder nothing of this is believed, nor a time that agrees but roughly: an exit
  that skips calls that are open inside it, callees whose own entry or whose caller is missing, times that go back.
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

from kfgraph.kernel.interrupts import EXIT_PARTS, level_of
from kfgraph.parse.records import ENTRY, EXIT, LEAF, RecordBatch

NO, YES, STRETCHED, SELF_UNKNOWN = range(4)
"""Answers of ``agree``: the pair is none; it is one; it is one and slept; it is one and its times are coarse."""
_NEAR = 5_000
_ROUNDED = 1_500
"""Times of a text are rounded to 1 us."""
_STALL = 6_000_000
"""The longest time between a return and its record, in ns: 5.5 ms in 3 million pairs."""
_LATE_ENTRY = 10_000_000
_DRIFT = 100
"""Timestamps and durations are of two clocks: one went slower than the other by up to 1 % in 1.2 ms."""
_ANOTHER = 10_000_000
"""A time that goes back by more is of another recording."""
_FEW = 32
"""So many callees are asked whether records are missing among them."""
_DEEPEST = 32_000
_WINDOW = 64
"""So many records before and behind one are looked at for what was recorded when."""
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
_BACK = 32
"""On the way back from an interrupt, behind its end."""
_OF_INTERRUPT = _INTERRUPT | _PART | _BACK


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
        self._disorder: bool | None = None
        self._too_deep: bool | None = None

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
        self._stood = self._disorder = None
        # A habit once found stays: nothing was paired in another way since.
        self._too_deep = self._too_deep or None
        self._columns = nodes
        names = ("func", "start", "duration", "depth", "parent", "last_child", "previous")
        views: list[Any] = [nodes[name].data for name in names]
        self._func, self._start, self._duration, self._depth, self._parent, self._last, self._previous = views
        return True

    def end(self) -> None:
        """There are no more records: the columns are let go."""
        self._columns = {}
        self._func = self._start = self._duration = self._depth = self._parent = self._last = self._previous = ()

    def interrupts(self) -> npt.NDArray[np.bool_]:
        """Which names, by code, are those of an interrupt's entry. A text's only."""
        names = self.facts()["names"] if self.facts else ()
        found = (bool(_traits_of(name) & _INTERRUPT) or level_of(name.decode("latin-1")) > 0 for name in names)
        return np.fromiter(found, np.bool_)

    def agree(self, node: int, at: int, skipped: bool, youngest: int) -> int:
        """Whether record ``at`` of the batch, an exit, can be that of ``node``.

        ``skipped``: the exit leaves calls inside it open. ``youngest``: the lane's last call that began.
        """
        time, duration = int(self._batch.time[at]), int(self._batch.duration[at])
        delta = time - duration - self._start[node]
        if self.refutes(node, time, duration) or self.doubts(node, at, skipped):
            return NO
        if delta < 0:
            if -delta <= _LATE_ENTRY and self._entry_was_late(node, time - duration, _NEAR + duration // _DRIFT):
                return YES
        elif self._was_late(node, at, duration, delta, youngest):
            return YES
        elif self._slept(node, time, delta):
            return STRETCHED
        if abs(delta) <= _LATE_ENTRY and self._clock_stood(self._start[node], time, delta):
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

    def _entry_was_late(self, node: int, began: int, about: int) -> bool:
        """An interrupt, or nothing at all, came between the call, ``began`` by ``about``, and the entry's record.

        Its caller's entry and the end of the call before it were recorded before it was called.
        """
        caller, elder = self._parent[node], self._previous[node]
        if caller >= 0 and began < self._start[caller] - about:
            return False
        while elder >= 0 and self._seen(elder, self._start[node]) > began + about:
            if self._start[elder] < began - _ROUNDED or not self._may_be_interrupt(elder, self._depth[node]):
                return False
            elder = self._previous[elder]
        return True

    def _may_be_interrupt(self, node: int, depth: int) -> bool:
        """Whether ``node`` may be of an interrupt, where a call of the task would be at ``depth``.

        Its end has no name where ``report -I`` left its entry out.
        """
        func = self._func[node]
        return not func or bool(self._traits[func] & _OF_INTERRUPT) or self._depth[node] > depth

    def _seen(self, node: int, until: int) -> int:
        """Until when it ran, or what ran in it, as far as is known.

        It was over by ``until``: if it seems to have been later, its own entry was late.
        """
        seen = self._over(node)
        while (seen > until or self._duration[node] < 0) and self._last[node] >= 0:
            node = self._last[node]
            seen = self._over(node)
        return seen if seen <= until else self._start[node]

    def _was_late(self, node: int, at: int, duration: int, delta: int, youngest: int) -> bool:
        """An interrupt, or nothing at all, came between the return and the exit's record."""
        returned = self._start[node] + duration
        # A callee's own record may be late as well, but less so.
        callees = returned + max(min(delta // 2, 2 * _NEAR), _ROUNDED)
        first, child, other = -1, self._last[node], False
        while child >= 0 and self._began_after(child, returned):
            other = other or not self._may_be_interrupt(child, self._depth[node] + 1)
            first, child = child, self._previous[child]
        if child >= 0 and self._over(child) > callees:
            # It would have returned before its callee.
            return False
        if first < 0:
            if youngest != node and self._began_after(youngest, returned):
                # Something began deeper inside, after it would have returned.
                return False
            if delta > _STALL or self._traits[self._func[node]] & _ENTERS:
                return False
            # A CPU that makes records does not stand still.
            return not self._recorded(at, callees, returned + delta)
        if other or self._recorded(at, self._over(self._last[node]) + 2 * _NEAR, returned + delta):
            # It called something after the interrupt, or the CPU went on.
            return False
        if self._depth[first] > self._depth[node] and self._start[first] <= returned + _ROUNDED:
            # It may have hit the call before it returned; then the exit belongs to another one.
            return False
        return bool(self._traits[self._func[first]] & _INTERRUPT) and self._start[first] - returned <= _STALL

    def doubts(self, node: int, at: int, skipped: bool) -> bool:
        """Whether an exit whose time does not agree well is none of ``node``: records are missing, or in disorder.

        The entry of a callee without a name is; that of the caller of one that is more than one deeper too, unless an
        interrupt hit the tracer.
        """
        if skipped or self._in_disorder(at):
            return True
        missing, child, n = False, self._last[node], 0
        while child >= 0 and n < _FEW:
            func = self._func[child]
            if self._traits[func] & _OF_INTERRUPT:
                return False
            missing = missing or not func or self._depth[child] > self._depth[node] + 1
            child, n = self._previous[child], n + 1
        return missing

    def too_deep(self) -> bool:
        """Whether exits are one too deep here, as U-Boot writes them: all of them, and its times are in whole us."""
        if self._too_deep is None:
            batch, n = self._batch, self._n
            ends = batch.kind[:n] == EXIT
            begins = (batch.kind[:n] == ENTRY) | (batch.kind[:n] == LEAF)
            duration, depth = batch.duration[:n], batch.depth[:n]
            shallowest = int(depth[ends].min()) > int(depth[begins].min(initial=_DEEPEST))
            self._too_deep = shallowest and not (duration[duration > 0] % 1_000).any()
        return self._too_deep

    def _in_disorder(self, at: int) -> bool:
        """Whether the records of a CPU around record ``at`` do not stand in the order of their times."""
        if self._disorder is None:
            time = self._batch.time[: self._n]
            time = time[time >= 0]
            self._disorder = bool((time[1:] < time[:-1]).any())
        if not self._disorder:
            return False
        time = self._around(at)
        back = time[:-1] - time[1:]
        return bool(((back > _ROUNDED) & (back < _ANOTHER)).any())

    def _around(self, at: int) -> npt.NDArray[np.int64]:
        """The times of the CPU's records around record ``at``, of all tasks."""
        first, end = max(at - _WINDOW, 0), min(at + _WINDOW, self._n)
        # Without the CPUs, only the task's own records are known to be of this one.
        where = self._batch.cpu if self._batch.cpu[at] >= 0 else self._batch.pid
        time = self._batch.time[first:end][where[first:end] == where[at]]
        known: npt.NDArray[np.int64] = time[time >= 0]
        return known

    def _recorded(self, at: int, since: int, until: int) -> bool:
        """Whether the CPU of record ``at`` made another one, of any task, between two times."""
        time = self._around(at)
        return bool(((time > since) & (time < until - _ROUNDED)).any())

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
            # A line that stands there twice is none.
            twice = batch.func[: n - 1] == batch.func[1:n]
            for column in (batch.kind, batch.depth, batch.duration):
                twice &= column[: n - 1] == column[1:n]
            same &= ~twice
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
    text = plain.decode("latin-1")
    part = _PART if level_of(text) else _BACK if text in EXIT_PARTS or text == "preempt_schedule_irq" else 0
    return part + sum(trait for trait, pattern in _patterns() if pattern.fullmatch(plain))
