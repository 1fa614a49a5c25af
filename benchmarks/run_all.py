#!/usr/bin/env python3
"""kfgraph beside ``trace-cmd report`` on the same file in the same run: ``make bench``.

    python benchmarks/run_all.py [TRACE.dat] [--runs N] [--write]

Every figure is the median of N runs (5), the commands taking turns, so that a busy machine slows all
alike. Ratios are to ``trace-cmd report TRACE >/dev/null``. ``--write`` puts the table into results.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
LARGE = REPOSITORY.parent / "shared" / "traces" / "6.1" / "ls-2M-events.dat"
SMALL = REPOSITORY / "examples" / "insmod-fail19.dat"
KFGRAPH = str(Path(sys.executable).parent / "kfgraph")

LOAD = """
import json, resource, sys
import kfgraph
floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
trace = kfgraph.load(sys.argv[1])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
json.dump({"n_calls": len(trace.calls), "peak_bytes": peak * 1024}, sys.stdout)
"""
EMPTY_TYPER = """
import typer
app = typer.Typer(rich_markup_mode="rich")
@app.callback()
def _all(): pass
@app.command()
def one(name: str = typer.Option("", help="A name.")): "One."
app(["--help"])
"""


@dataclass
class Work:
    """One command line, what it is compared with, and how long its runs took."""

    name: str
    argv: list[str]
    bound: float | None = None
    compare: str = "trace-cmd report"
    seconds: list[float] = field(default_factory=list)
    said: str = ""

    def run(self) -> None:
        """Once, timed."""
        # OPENBLAS_CORETYPE and its like slow numpy's start and have nothing to do with us.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        started = time.perf_counter()
        done = subprocess.run(self.argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
        self.seconds.append(time.perf_counter() - started)
        if done.returncode:
            sys.exit(f"{' '.join(self.argv)}: exit status {done.returncode}")
        self.said = done.stdout[:1_000].decode(errors="replace")

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)


def works(trace: Path, text: Path | None) -> list[Work]:
    """What is measured, the reference first."""
    root = "vfs_open" if trace == LARGE else "load_module"
    found = []
    if shutil.which("trace-cmd"):
        # Through a shell, since /dev/null is what the reference writes to.
        found.append(Work("trace-cmd report", ["sh", "-c", 'exec trace-cmd report "$1" >/dev/null', "sh", str(trace)]))
    to_null = 'exec "$0" "$@" >/dev/null'
    found += [
        Work("kfgraph.load", [sys.executable, "-c", LOAD, str(trace)], 0.15),
        Work("kfgraph top", [KFGRAPH, "top", str(trace)], 0.20),
        Work(f"kfgraph show --root {root}", [KFGRAPH, "show", str(trace), "--root", root], 0.20),
        Work("kfgraph show --all", ["sh", "-c", to_null, KFGRAPH, "show", "--all", str(trace)], 1.0),
    ]
    if text is not None:
        found.append(Work("kfgraph.load of the report's text", [sys.executable, "-c", LOAD, str(text)], 0.5))
    found.append(Work("an empty typer app --help", [sys.executable, "-c", EMPTY_TYPER]))
    found.append(Work("kfgraph --help", [KFGRAPH, "--help"], 1.2, "an empty typer app --help"))
    return found


def table(measured: list[Work], trace: Path, runs: int) -> str:
    """Markdown."""
    by_name = {work.name: work for work in measured}
    load = json.loads(by_name["kfgraph.load"].said)
    lines = [
        f"{trace.name}: {load['n_calls']:,} calls; median of {runs} runs; Python {platform.python_version()}, "
        f"{platform.machine()}, {os.cpu_count()} cores.",
        "",
        "| work | seconds | ratio | at most |",
        "|---|---|---|---|",
    ]
    for work in measured:
        reference = by_name.get(work.compare)
        ratio = f"{work.median / reference.median:.2f}" if reference and work.bound is not None else ""
        lines.append(f"| {work.name} | {work.median:.2f} | {ratio} | {work.bound or ''} |")
    per_call = (load["peak_bytes"] - 64 * 2**20) / max(load["n_calls"], 1)
    peak = load["peak_bytes"] / 2**20
    lines += ["", f"Peak memory of kfgraph.load: {peak:.0f} MiB; less 64 MiB, {per_call:.0f} bytes a call."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", nargs="?", type=Path, default=LARGE if LARGE.exists() else SMALL)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/results.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text: Path | None = None
        if shutil.which("trace-cmd"):
            text = Path(folder) / "report.txt"
            with text.open("wb") as sink:
                subprocess.run(["trace-cmd", "report", str(options.trace)], stdout=sink, check=True)
        measured = works(options.trace, text)
        for _ in range(options.runs):
            for work in measured:
                work.run()
    result = table(measured, options.trace, options.runs)
    print(result, end="")
    if options.write:
        (HERE / "results.md").write_text(f"# Measured by `make bench`\n\n{result}")


if __name__ == "__main__":
    main()
