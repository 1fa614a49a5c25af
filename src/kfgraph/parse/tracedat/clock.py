"""Raw timestamps -> nanoseconds, by the options that the recorder left.

Source: timestamp_calc() and its neighbours in trace-input.c of libtracecmd.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from kfgraph.tracefile.contents import Contents
from kfgraph.tracefile.layout import MAX_CPUS, Option
from kfgraph.tracefile.source import Damage, Fields

_IN_NS = frozenset(("local", "global", "uptime", "perf", "mono", "mono_raw", "boot", "tai", "tsc2nsec"))
_UNITS = {"counter": "events", "x86-tsc": "cycles", "ppc-tb": "ticks"}
_INTERPOLATE = 1
_MAX_SAMPLES = 1 << 18
"""Of all CPUs: hosts take one or a few a second."""


class Sample(NamedTuple):
    """How far a guest's CPU was from the host at ``time``."""

    time: int
    offset: int
    scaling: int
    fraction: int


@dataclass
class TimeBase:
    """How the timestamps of one buffer become times.

    ``unit`` is "ns", or what the clock counts. ``mult`` (0: none) and ``shift`` turn cycles into ns,
    ``offset`` is added, ``samples`` (per CPU) come before all that. ``damage``: what could not be read of it.
    """

    clock: str
    unit: str = "ns"
    offset: int = 0
    mult: int = 0
    shift: int = 0
    flags: int = 0
    samples: list[list[Sample]] = field(default_factory=list)
    damage: Damage | None = None

    @property
    def is_local(self) -> bool:
        """Timestamps (less ``offset``) and the tracer's calltimes are of one clock."""
        return self.clock == "local" and not self.samples and not self.mult

    def convert(self, cpu: int) -> Callable[[int], int] | None:
        """The guest's correction for this CPU, None where there is none."""
        if cpu >= len(self.samples) or not self.samples[cpu]:
            return None
        samples, interpolate = self.samples[cpu], bool(self.flags & _INTERPOLATE)
        if len(samples) == 1:
            only = samples[0].offset
            return lambda time: (time + only) & 0xFFFFFFFFFFFFFFFF
        times = [sample.time for sample in samples]

        def corrected(time: int) -> int:
            at = min(max(bisect_right(times, time) - 1, 0), len(samples) - 2)
            low, high = samples[at], samples[at + 1]
            shift = low.offset
            if interpolate:
                delta = high.time - low.time
                # C's division cuts towards zero.
                shift += _cut_divide((time - low.time) * (high.offset - low.offset) + delta // 2, delta)
            return ((time * low.scaling >> low.fraction) + shift) & 0xFFFFFFFFFFFFFFFF

        return corrected


def _cut_divide(a: int, b: int) -> int:
    return a // b if a >= 0 else -(-a // b)


def read_time_base(contents: Contents, clock: str) -> TimeBase:
    """How timestamps of a buffer with this trace clock become ns: offset, scale, corrections of a guest's clock.

    Source: trace-cmd.dat(5), options DATE, OFFSET, TSC2NSEC and TIME_SHIFT.
    """
    base = TimeBase(clock or "local")
    for option, factor in ((Option.DATE, 1000), (Option.OFFSET, 1)):
        for fields in contents.options.all(option):
            base.offset += factor * _c_number(fields.data)
    try:
        tsc = contents.options.first(Option.TSC2NSEC)
        if tsc is not None:
            base.mult, base.shift = tsc.number(4, "the TSC multiplier"), tsc.number(4, "the TSC shift")
            if base.shift > 32:
                raise Damage(tsc.offset, f"a TSC shift of {base.shift}")
        shifts = contents.options.first(Option.TIME_SHIFT)
        if shifts is not None:
            shifts.number(8, "the peer's trace id")
            base.flags = shifts.number(4, "the time shift's flags")
            base.samples = _read_samples(shifts)
    except Damage as damage:
        base.mult, base.samples = 0, []
        base.damage = damage
    if base.clock not in _IN_NS and not base.mult:
        base.unit = _UNITS.get(base.clock, "ticks")
    return base


def _c_number(data: bytes) -> int:
    """As strtoll(text, NULL, 0) has it: 0x and a leading 0 count, what follows the number does not."""
    text = data[:64].partition(b"\0")[0].decode("ascii", "replace").strip()[:32]
    for end in range(len(text), 0, -1):
        try:
            return int(text[:end], 0)
        except ValueError:
            continue
    return 0


def _read_samples(fields: Fields) -> list[list[Sample]]:
    n_cpus = fields.number(4, "the time shift's CPUs")
    if n_cpus > MAX_CPUS:
        raise Damage(fields.offset, f"time samples of {n_cpus} CPUs")
    n_samples = 0
    raw: list[tuple[list[int], list[int], list[int]]] = []
    for _ in range(n_cpus):
        count = fields.number(4, "the time shift's samples")
        n_samples += count
        if n_samples > _MAX_SAMPLES or count > fields.left() // 8:
            raise Damage(fields.offset, f"{count} time samples")
        times, offsets, scalings = (
            [fields.number(8, "a time sample") for _ in range(count)] for _ in range(3)
        )
        raw.append((times, offsets, scalings))
    cpus = []
    with_fractions = fields.left() > 0
    for times, offsets, scalings in raw:
        fractions = [fields.number(8, "a time sample") & 63 for _ in times] if with_fractions else [0] * len(times)
        samples: dict[int, Sample] = {}
        for time, offset, scaling, fraction in zip(times, offsets, scalings, fractions, strict=True):
            signed = offset - (1 << 64) if offset >> 63 else offset
            samples.setdefault(time, Sample(time, signed, scaling, fraction))
        cpus.append([samples[time] for time in sorted(samples)])
    return cpus
