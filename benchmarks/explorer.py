#!/usr/bin/env python3
"""The explorer on a trace of very many calls: python benchmarks/explorer.py [--calls N] [--runs N] [TRACE.dat]

Each run is a process of its own that loads the trace and shows it on a terminal of 160 columns. Ratios are
of two times of one run, or of two processes one after the other, so that a busy machine slows both; the time of
a key is that of this process's CPU as well, which what else the machine does does not change.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from make_trace import given_or_made
from timing import KFGRAPH, Work, to_null

RUN = """
import asyncio, json, re, sys, threading, time
def memory(name):
    return int(re.search(name + r":\\s*(\\d+)", open("/proc/self/status").read())[1]) * 1024
began = time.perf_counter()
from kfgraph.cli.explore import import_beside
import_beside(sys.argv[1])
import kfgraph
trace = kfgraph.load(sys.argv[1])
loaded = time.perf_counter()
said = {"n_calls": len(trace.calls), "load": loaded - began}
held = memory("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
from kfgraph.render.explorer.explorer import Explorer
from kfgraph.render.explorer.rows import Rows
from textual.events import Key
import numpy as np
first = []
drawn = Rows.render_line
def render_line(self, y):
    strip = drawn(self, y)
    if not first and y == self.size.height - 1 and strip.text.strip():
        first.append(time.perf_counter())
    return strip
Rows.render_line = render_line
KEYS = ["j"] * 20 + ["ctrl+d"] * 6 + ["p", "o", "k", "k", "z", "Z", "s", "s", "S", "t", "t", "m", "m", "x", "u"] * 3 + [
    "h", "h", "l", "l", "enter", "enter", "a", "a", "a", "b", "b", "i", "i", "G", "g", "j", "enter", "pagedown"] * 4
async def go():
    app = Explorer(trace, {})
    async with app.run_test(size=(160, 50)) as pilot:
        while not first:
            await asyncio.sleep(0.001)
        said["first"] = first[0] - loaded
        said["whole"] = first[0] - began
        # The answer of why comes while the screen lives: it is no part of what a key takes.
        until = time.perf_counter() + 3
        while time.perf_counter() < until or any(t.name == "kfgraph-aside" for t in threading.enumerate()):
            await asyncio.sleep(0.05)
        said["answered"] = time.perf_counter() - loaded
        times = []
        for key in KEYS:
            cpu, clock = time.process_time(), time.perf_counter()
            app.post_message(Key(key, key if len(key) == 1 else None))
            # All that a key gives rise to, up to the frame: the queues of app and screen are empty.
            for _ in range(15):
                await asyncio.sleep(0.001)
            app.screen._compositor.render_strips()
            times.append((time.process_time() - cpu, time.perf_counter() - clock, key))
        said["keys"] = times
        rows = app._window.rows
        said["peak"] = memory("VmHWM") - held
        rows.close_everything()
        tree = app._window.tree
        sizes = tree.end - np.arange(len(tree))
        enough = np.flatnonzero(sizes >= min(1_000_000, int(sizes.max())))
        node = int(enough[sizes[enough].argmin()])
        rows.restart(np.array([node], "int32"))
        clock = time.perf_counter()
        rows.open_all(0)
        said["open_all"] = time.perf_counter() - clock
        said["rows"] = len(rows)
import gc
gc.freeze()
asyncio.run(go())
json.dump(said, sys.stdout)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("trace", nargs="?", type=Path)
    options = parser.parse_args()
    with given_or_made(options.trace, 2 * options.calls) as trace:
        textual = Work("import", [sys.executable, "-c", "import textual.app, textual.widgets, textual.scroll_view"])
        top = Work("kfgraph top", to_null(KFGRAPH, "top", str(trace)))
        found = []
        for _ in range(options.runs):
            top.run()
            textual.run()
            done = subprocess.run([sys.executable, "-c", RUN, str(trace)], stdout=subprocess.PIPE, check=True)
            beside = {"top": top.wall[-1], "textual": textual.wall[-1]}
            found.append(json.loads(done.stdout) | beside)

    def median(of: object) -> float:
        return statistics.median(of)  # type: ignore[call-overload, no-any-return]

    keys = sorted(cpu for run in found for cpu, _, _ in run["keys"])
    slowest = sorted(((cpu, key) for run in found for cpu, _, key in run["keys"]), reverse=True)[:5]
    n = found[0]["n_calls"]
    print(f"### The explorer on {n:,} calls\n")
    print("| what | measured | at most |\n|---|---|---|")
    first, one = median(run["first"] / run["load"] for run in found), median(run["load"] for run in found)
    print(f"| first frame after loading, of the time to load ({one:.1f} s) | {first:.3f} | 0.15 |")
    tree = median(run["whole"] / (run["top"] + run["textual"]) for run in found)
    print(f"| first tree, of `kfgraph top` and Textual's import | {tree:.2f} | 1.30 |")
    print(f"| from a key to its frame, CPU time, 99th percentile of {len(keys)} | "
          f"{keys[len(keys) * 99 // 100] * 1e3:.0f} ms | 50 ms |")  # fmt: skip
    opened = median(run["open_all"] for run in found)
    print(f"| open all of {found[0]['rows']:,} rows | {opened:.3f} s | 0.2 s |")
    print(f"| memory beside the trace, bytes a call | {median(run['peak'] / n for run in found):.0f} | 100 |")
    print(f"\nThe slowest keys: {', '.join(f'{key} {cpu * 1e3:.0f} ms' for cpu, key in slowest)}.", file=sys.stderr)


if __name__ == "__main__":
    main()
