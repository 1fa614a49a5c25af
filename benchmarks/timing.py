"""Commands timed side by side, as whole processes: what the benchmarks share."""

from __future__ import annotations

import compileall
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
KFGRAPH = str(Path(sys.executable).parent / "kfgraph")

LOAD = """
import json, re, sys
import kfgraph
trace = kfgraph.load(sys.argv[1])
# Not ru_maxrss: that of a child begins with its parent's.
peak = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) * 1024
json.dump({"n_calls": len(trace.calls), "peak_bytes": peak, "details": dict(trace.meta.details)}, sys.stdout)
"""
"""A fresh process that loads a trace and says how many calls it has and how much memory it took."""

COMMAND = """
import atexit, json, os, re, sys
from kfgraph.__main__ import entry_point
said = os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
def tell():
    peak = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) * 1024
    os.write(said, json.dumps({"peak_bytes": peak}).encode())
leave, os._exit = os._exit, lambda status: (tell(), leave(status))
atexit.register(tell)
sys.argv[0] = "kfgraph"
entry_point()
"""
"""A fresh process that runs a command line of kfgraph, its output thrown away, and says how much memory it took."""

ANSWER = """
import json, sys, time
from dataclasses import replace
import kfgraph
from kfgraph.model.companion import Companion
trace = kfgraph.load(sys.argv[1])
trace = replace(trace, companion=replace(trace.companion or Companion(), exit_status=1))
begin = time.process_time()
from kfgraph.analyze.why import summary, why
summary(why(trace))
json.dump({"answer_s": time.process_time() - begin}, sys.stdout)
"""
"""A fresh process that loads a trace, and says how much CPU time the answer takes that ``kfgraph trace`` prints at its
end, where the command failed: for what it prints beside that the trace is loaded anyway."""


@dataclass
class Work:
    """One command line, and how long its runs took: seconds by the clock and of CPU, one per run.

    ``bound``: the most that its median may be, as a part of that of the work called ``beside``. ``statuses``: what it
    may end with.
    """

    name: str
    argv: Sequence[str]
    bound: float | None = None
    beside: str = "trace-cmd report"
    environment: Mapping[str, str] = field(default_factory=dict)
    statuses: tuple[int, ...] = (0,)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    said: bytes = b""

    def run(self) -> None:
        """Once, timed. Ends the benchmark where the command fails."""
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            self.argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **self.environment}
        )
        self.wall.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if done.returncode not in self.statuses:
            sys.exit(f"{' '.join(self.argv)}: exit status {done.returncode}")
        self.said = done.stdout


def to_null(*argv: str) -> list[str]:
    """``argv`` with its output going to /dev/null, as a shell would do it."""
    return ["sh", "-c", 'exec "$@" >/dev/null', "sh", *argv]


def load(path: Path) -> list[str]:
    """The command that loads ``path``, see LOAD."""
    return [sys.executable, "-c", LOAD, str(path)]


def command(*argv: str) -> list[str]:
    """The command line ``kfgraph ARGV``, see COMMAND."""
    return [sys.executable, "-c", COMMAND, *argv]


def answer(path: Path) -> Work:
    """See ANSWER."""
    return Work("the answer", [sys.executable, "-c", ANSWER, str(path)])


def report(path: Path) -> Work:
    """The reference: ``trace-cmd report FILE >/dev/null``."""
    return Work("trace-cmd report", to_null("trace-cmd", "report", "-i", str(path)))


def measure(works: Sequence[Work], runs: int) -> list[str]:
    """Run the works in turn, so that a busy machine slows all alike; rows of a Markdown table."""
    # As pip leaves an installed package, which the editable one of `make venv` is not.
    compileall.compile_dir(REPOSITORY / "src" / "kfgraph", quiet=1)
    for _ in range(runs):
        for work in works:
            work.run()
    by_name = {work.name: work for work in works}
    rows = []
    for work in works:
        wall, cpu = statistics.median(work.wall), statistics.median(work.cpu)
        row = f"| {work.name} | {wall:.2f} | {cpu:.2f} |"
        if work.bound is None:
            row += " | | |"
        else:
            beside = by_name[work.beside]
            # Pair by pair: what slows the machine for a minute is in both.
            ratio = statistics.median(a / b for a, b in zip(work.wall, beside.wall, strict=True))
            of_cpu = statistics.median(a / b for a, b in zip(work.cpu, beside.cpu, strict=True))
            row += f" {ratio:.3f} | {of_cpu:.3f} | {work.bound:.2f} |"
        rows.append(row)
    return rows


HEAD = ["| work | seconds | CPU seconds | ratio | of CPU | at most |", "|---|---|---|---|---|---|"]
"""The head of the table that ``measure`` makes rows for."""
