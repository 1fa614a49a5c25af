"""The ring buffers' own counters."""

from __future__ import annotations

from dataclasses import dataclass

from kfgraph.capture.tracefs import Tracefs


@dataclass(frozen=True)
class CpuStats:
    """One CPU's ring buffer (``per_cpu/cpuN/stats``): events kept, read and lost since it was emptied.

    ``n_lost`` sums the kernel's three disjoint counters: overwritten before they were read (overrun),
    dropped, and lost to nested interrupts (commit overrun).
    """

    cpu: int
    n_events: int
    n_lost: int


def read_stats(fs: Tracefs) -> tuple[CpuStats, ...]:
    """The counters of every CPU, by number."""
    found = []
    for folder in (fs.root / "per_cpu").glob("cpu[0-9]*"):
        try:
            lines = (folder / "stats").read_text().splitlines()
        except OSError:
            continue  # the CPU went away
        counts = {k.strip(): int(v) for k, _, v in (line.partition(":") for line in lines) if v.strip().isdigit()}
        found.append(
            CpuStats(
                int(folder.name[3:]),
                counts.get("entries", 0) + counts.get("read events", 0),
                counts.get("overrun", 0) + counts.get("commit overrun", 0) + counts.get("dropped events", 0),
            )
        )
    return tuple(sorted(found, key=lambda s: s.cpu))
