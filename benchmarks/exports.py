#!/usr/bin/env python3
"""Every exporter on a trace of very many calls: python benchmarks/exports.py [--events N] [--varied] [TRACE.dat]

CPU time beside that of ``trace-cmd report`` on the same trace, and the most memory, of whole processes, one run each.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from make_trace import given_or_made
from timing import Work, command, report

from kfgraph.export.exporters import NAMES
from kfgraph.parse import load

ALLOWANCE = 64 << 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--varied", action="store_true", help="durations as make_trace.py --varied makes them")
    parser.add_argument("trace", nargs="?", type=Path)
    options = parser.parse_args()
    with given_or_made(options.trace, options.events, varied=options.varied) as trace:
        n_calls = len(load(str(trace)).calls)
        beside = report(trace)
        beside.run()
        print(f"### Exports of {n_calls:,} calls\n")
        print("| format | CPU time | of `trace-cmd report` | memory above 64 MiB, bytes a call (bound: 110) |")
        print("|---|---|---|---|")
        print(f"| trace-cmd report | {beside.cpu[0]:.1f} s | 1 | |")
        for name in NAMES:
            work = Work(name, command("export", str(trace), "-q", "--format", name))
            work.run()
            peak = json.loads(work.said)["peak_bytes"]
            ratio = work.cpu[0] / beside.cpu[0]
            print(f"| {name} | {work.cpu[0]:.1f} s | {ratio:.2f} | {(peak - ALLOWANCE) / n_calls:.0f} |", flush=True)


if __name__ == "__main__":
    main()
