#!/usr/bin/env python3
"""How long it takes to have fields of many events as columns: python benchmarks/event_fields.py [--events N] [--runs N]

A trace.dat with a million sched_switch on two CPUs is made and loaded; then each line is the median of N runs (5): one
field, seven fields in one pass, and for comparison the texts of a hundredth of the events.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import kfgraph
from builder.tracedat import TEXT, Cpu, Extra, Kernel, trace_dat
from kfgraph.model.marks import Marks

SWITCH = 316
FIELDS = [
    ("char", "prev_comm[16]", 16), ("int", "prev_pid", 4), ("int", "prev_prio", 4), ("long", "prev_state", 8),
    ("char", "next_comm[16]", 16), ("int", "next_pid", 4), ("int", "next_prio", 4),
]  # fmt: skip
PER_PAGE = 59


@dataclass
class Switches(Cpu):
    """A CPU of whole pages of switches, each like the first but for its time and its pids."""

    n_pages: int = 0

    def pages(self) -> bytes:
        """All pages."""
        k, cpu = self.kernel, Cpu(self.kernel, self.number)
        for i in range(PER_PAGE):
            names = (f"task-{i}", f"task-{i + 1}")
            prev, after = (name.encode().ljust(16, b"\0") for name in names)
            numbers = k.pack("iiq", 1_000 + i, 120, i % 3) + after + k.pack("ii", 1_001 + i, 120)
            cpu.event(1_000_000_000 + 2_000 * i, 1_000 + i, SWITCH, prev + numbers)
        pages = np.tile(np.frombuffer(cpu.pages(), np.uint64), (self.n_pages, 1))
        assert pages.shape[1] == k.page_size // 8, "the events of a page do not fit it"
        pages[:, 0] += (np.arange(self.n_pages) * 2_000 * PER_PAGE).astype(np.uint64)
        return pages.tobytes()


def make(n_events: int, compression: str) -> bytes:
    """A trace of about so many switches."""
    kernel = Kernel()
    n_pages = -(-n_events // (2 * PER_PAGE))
    cpus = [Switches(kernel, number, n_pages=n_pages) for number in (0, 1)]
    extra = Extra(events=(("sched", "sched_switch", SWITCH, FIELDS),))
    return trace_dat(kernel, cpus, symbols={TEXT: ("T", "_stext", "")}, extra=extra, compression=compression)


def median(what: Callable[[], object], runs: int) -> float:
    """Seconds."""
    took = []
    for _ in range(runs):
        begin = time.perf_counter()
        what()
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


def measure(marks: Marks, runs: int) -> None:
    """One line for each kind of question."""
    names = [name.partition("[")[0] for _, name, _ in FIELDS]
    few = len(marks) // 100
    for what, question in (
        ("prev_state", lambda: marks.field("sched_switch", "prev_state")),
        ("prev_comm", lambda: marks.field("sched_switch", "prev_comm")),
        ("all seven fields", lambda: marks.fields("sched_switch", *names)),
        (f"{few:,} texts", lambda: list(marks.text[:few])),
    ):
        print(f"    {what:<20} {median(question, runs):.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for compression in ("none", "zstd"):
            path = Path(folder) / "trace.dat"
            path.write_bytes(make(options.events, compression))
            marks = kfgraph.load(path).marks
            print(f"{len(marks):,} events, compression {compression}, {path.stat().st_size / 1e6:.0f} MB")
            measure(marks, options.runs)


if __name__ == "__main__":
    main()
