#!/usr/bin/env python3
"""Reading `trace-cmd report` text, side by side with `trace-cmd report` printing it.

    python benchmarks/read_text.py TRACE.dat [--runs 5]

The text is printed to a file first. Then, run by run, taking turns: `trace-cmd report TRACE.dat` to
/dev/null, and `kfgraph.load` of the text file in a fresh process, its start and imports included.
Figures are medians. Memory is the peak of the process (VmHWM), shared by the lines of the text.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOAD = """
import re, sys
import kfgraph
trace = kfgraph.load(sys.argv[1])
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
print(trace.meta.details["n_lines"], len(trace.calls), peak)
"""
LIMIT_RATIO = 0.5
LIMIT_BYTES = 150


def timed(argv: list[str]) -> tuple[float, float, str]:
    """(seconds by the clock, seconds of CPU, output) of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("trace", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    report = ["trace-cmd", "report", "-i", str(options.trace)]
    with tempfile.NamedTemporaryFile(suffix=".txt") as text:
        subprocess.run(report, stdout=text, stderr=subprocess.DEVNULL, check=True)
        reports, loads = [], []
        for _ in range(options.runs):
            reports.append(timed(["sh", "-c", 'exec "$@" >/dev/null', "sh", *report]))
            loads.append(timed([sys.executable, "-c", LOAD, text.name]))
    n_lines, n_calls, peak = map(int, loads[0][2].split())
    peak = max(int(output.split()[2]) for *_, output in loads)
    medians = [[statistics.median(run[i] for run in runs) for i in (0, 1)] for runs in (reports, loads)]
    ratios = [medians[1][i] / medians[0][i] for i in (0, 1)]
    print(f"{n_lines:,} lines, {n_calls:,} calls, {options.runs} runs")
    print(f"trace-cmd report  {medians[0][0]:6.2f} s  {medians[0][1]:6.2f} s CPU")
    print(f"kfgraph.load      {medians[1][0]:6.2f} s  {medians[1][1]:6.2f} s CPU")
    print(f"ratio             {ratios[0]:6.2f}    {ratios[1]:6.2f}         (at most {LIMIT_RATIO})")
    print(f"peak memory       {peak / 2**20:6.0f} MiB, {peak / n_lines:.0f} bytes a line (at most {LIMIT_BYTES})")
    return 0 if ratios[0] <= LIMIT_RATIO and peak <= LIMIT_BYTES * n_lines else 1


if __name__ == "__main__":
    sys.exit(main())
