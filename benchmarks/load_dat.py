#!/usr/bin/env python3
"""Loading synthetic trace.dat files of growing size: is time linear, and memory bounded?

    python benchmarks/load_dat.py [--events 2000000,20000000] [--runs 5] [--no-report]

Each figure is the median of the runs, each run a fresh process, kfgraph and `trace-cmd report >/dev/null`
taking turns. Memory is the peak of the process; bytes a call are what it has above 64 MiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from make_trace import make

LOAD = """
import json, re, sys
import kfgraph
trace = kfgraph.load(sys.argv[1])
# Not ru_maxrss: that of a child begins with its parent's.
peak = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) * 1024
json.dump({"n_calls": len(trace.calls), "peak": peak, "loops": trace.meta.details["loops"]}, sys.stdout)
"""
ALLOWANCE = 64 << 20


def timed(argv: list[str]) -> tuple[float, float, bytes]:
    """(seconds by the clock, seconds of CPU, output) of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--events", default="2000000,20000000")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-report", action="store_true", help="leave trace-cmd out")
    options = parser.parse_args()
    trace_cmd = None if options.no_report else shutil.which("trace-cmd")
    print(f"{'events':>12} {'load s':>8} {'CPU s':>8} {'report s':>9} {'ratio':>6} {'CPU ratio':>9} {'bytes/call':>10}")
    for n_events in map(int, options.events.split(",")):
        with tempfile.NamedTemporaryFile(suffix=".dat") as file:
            file.write(make(n_events))
            file.flush()
            loads, reports = [], []
            for _ in range(options.runs):
                loads.append(timed([sys.executable, "-c", LOAD, file.name]))
                if trace_cmd:
                    with Path("/dev/null").open("wb") as null:
                        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
                        subprocess.run([trace_cmd, "report", file.name], stdout=null, stderr=null, check=True)
                        after = resource.getrusage(resource.RUSAGE_CHILDREN)
                        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                        reports.append((time.perf_counter() - start, cpu))
        said = json.loads(loads[0][2])
        wall, cpu = (statistics.median(run[i] for run in loads) for i in (0, 1))
        each = (said["peak"] - ALLOWANCE) / said["n_calls"]
        line = f"{n_events:12,} {wall:8.2f} {cpu:8.2f} "
        if reports:
            report, report_cpu = (statistics.median(run[i] for run in reports) for i in (0, 1))
            line += f"{report:9.2f} {wall / report:6.3f} {cpu / report_cpu:9.3f} "
        else:
            line += f"{'-':>9} {'-':>6} {'-':>9} "
        print(line + f"{max(each, 0):10.0f}")


if __name__ == "__main__":
    main()
