#!/usr/bin/env python3
"""kfgraph beside ``trace-cmd report`` on the same files in the same run: ``make bench``.

    python benchmarks/run_all.py [--runs N] [--large TRACE.dat] [--lossy TRACE.dat] [--events N,N...] [--many N]
        [--write]

Every figure is the median of N runs (5), each a process of its own, the commands taking turns, so that a
busy machine slows all alike; ratios are medians of the ratios run by run. ``--events`` are the sizes of
synthetic traces (make_trace.py); "" leaves them out; ``--many`` is that of one on which commands are measured
beside loading it. ``--write`` puts the tables into docs/performance.md.
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
from collections.abc import Iterator
from pathlib import Path

from make_trace import make
from recording import recording
from timing import HEAD, KFGRAPH, REPOSITORY, Work, answer, command, load, measure, report, to_null

TRACES = REPOSITORY.parent / "shared" / "traces" / "6.1"
SMALL = REPOSITORY / "examples" / "insmod-fail19.dat"
PAGE = REPOSITORY / "docs" / "performance.md"
BEGIN, END = "<!-- make bench begins -->", "<!-- make bench ends -->"
ALLOWANCE = 64 << 20
EMPTY_TYPER = """
import typer
app = typer.Typer(rich_markup_mode="rich")
@app.callback()
def _all(): pass
@app.command()
def one(name: str = typer.Option("", help="A name.")): "One."
app()
"""


def memory(work: Work, *, n_calls: int = 0, bound: int = 110) -> str:
    """What a LOAD, or a COMMAND on a trace of ``n_calls``, said of its memory."""
    said = json.loads(work.said)
    each = (said["peak_bytes"] - ALLOWANCE) / max(n_calls or said["n_calls"], 1)
    return f"{said['peak_bytes'] / 2**20:.0f} MiB at most, {each:.0f} bytes a call above 64 MiB (bound: {bound})"


def large(trace: Path, runs: int, folder: Path) -> Iterator[str]:
    """The commands on one large trace, and on the text that trace-cmd prints of it."""
    text = folder / "report.txt"
    with text.open("wb") as sink:
        subprocess.run(["trace-cmd", "report", "-i", str(trace)], stdout=sink, stderr=subprocess.DEVNULL, check=True)
    with text.open("rb") as lines:
        n_lines = sum(1 for _ in lines)
    root = "load_module" if trace.samefile(SMALL) else "vfs_open"
    works = [
        report(trace),
        Work("kfgraph.load", load(trace), 0.15),
        Work("kfgraph top", to_null(KFGRAPH, "top", str(trace)), 0.20),
        # 6: nothing in the trace tells whether anything failed.
        Work("kfgraph why", to_null(KFGRAPH, "why", str(trace)), 1.3, "kfgraph top", statuses=(0, 4, 6)),
        Work(f"kfgraph show --root {root}", to_null(KFGRAPH, "show", str(trace), "--root", root), 0.20),
        Work("kfgraph show --all", to_null(KFGRAPH, "show", "--all", str(trace)), 1.0),
        Work("kfgraph.load of the report's text", load(text), 0.5),
    ]
    rows = measure(works, runs)
    n_calls, peak = json.loads(works[1].said)["n_calls"], json.loads(works[-1].said)["peak_bytes"]
    yield f"### {trace.name}: {n_calls:,} calls, {n_lines:,} lines of report"
    yield from ("", *HEAD, *rows, "")
    yield f"Memory of kfgraph.load: {memory(works[1])};"
    yield f"of the text: {peak / 2**20:.0f} MiB, {peak / n_lines:.0f} bytes a line (bound: 150)."
    answering = answer(trace)
    measure([answering], runs)
    seconds = json.loads(answering.said)["answer_s"]
    yield f"The answer at the end of `kfgraph trace`: {seconds:.2f} s of CPU time (bound: 1 s), beside loading."


def plain(trace: Path, runs: int, folder: Path) -> Iterator[str]:
    """The reader where there is no C compiler: the package without its compiled modules."""
    package = folder / "plain" / "kfgraph"
    shutil.copytree(REPOSITORY / "src" / "kfgraph", package, ignore=shutil.ignore_patterns("*.so", "*.c"))
    path = {"PYTHONPATH": str(package.parent)}
    works = [report(trace), Work("kfgraph.load, nothing compiled", load(trace), 3.0, environment=path)]
    rows = measure(works, runs)
    said = json.loads(works[1].said)
    if said["details"].get("loops") != "plain Python":
        sys.exit("the loops were compiled after all")
    yield f"### {trace.name}: {said['n_calls']:,} calls, plain Python"
    yield from ("", *HEAD, *rows)


def start_up(runs: int, folder: Path) -> Iterator[str]:
    """How long a command line takes that does nothing, or next to nothing."""
    empty = Work("an empty typer app --help", [sys.executable, "-c", EMPTY_TYPER, "--help"])
    # What typer takes for any option: from 0.29 on it imports pydantic to build one.
    one = Work("the same, its command with one option --help", [sys.executable, "-c", EMPTY_TYPER, "one", "--help"])
    works = [
        empty,
        one,
        Work("kfgraph --help", [KFGRAPH, "--help"], 1.2, empty.name),
        Work("kfgraph show --help", [KFGRAPH, "show", "--help"], 1.5, one.name),
        recording(folder, "kfgraph trace true, with a recorder that does nothing", 1.5, empty.name),
    ]
    rows = measure(works, runs)
    yield from ("### Start-up", "", *HEAD, *rows)


def synthetic(sizes: list[int], runs: int, folder: Path) -> Iterator[str]:
    """Is loading linear, in time and memory?"""
    yield from ("### Synthetic traces (benchmarks/make_trace.py)", "", *HEAD)
    each: dict[int, float] = {}
    told = []
    for n_events in sizes:
        trace = folder / f"{n_events}.dat"
        trace.write_bytes(make(n_events))
        name = f"trace-cmd report, {n_events:,} events"
        loading = Work(f"kfgraph.load, {n_events:,} events", load(trace), 0.08 if n_events >= 2e7 else 0.15, name)
        yield from measure([Work(name, report(trace).argv), loading], runs)
        each[n_events] = statistics.median(loading.wall) / n_events
        told.append(f"{n_events:,} events: {each[n_events] * 1e9:.0f} ns an event, {memory(loading)}")
        trace.unlink()
    yield from ("", ";\n".join(told) + ".")


def loops(runs: int) -> Iterator[str]:
    """How fast loops are folded."""
    argv = [sys.executable, str(Path(__file__).with_name("loops.py")), "--runs", str(runs)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    yield from ("### Loops (benchmarks/loops.py)", "", *done.stdout.splitlines())


def many(n_events: int, runs: int, folder: Path) -> Iterator[str]:
    """What commands take beside loading, on a trace of very many calls."""
    trace = folder / "many.dat"
    trace.write_bytes(make(n_events))
    name = f"kfgraph.load, {n_events:,} events"
    loading = Work(name, load(trace))
    works = [Work(f"kfgraph {word}", command(word, str(trace)), 2.0, name) for word in ("top", "show")]
    rows = measure([loading, *works], runs)
    trace.unlink()
    yield from ("### Commands on very many calls", "", *HEAD, *rows, "")
    n_calls = json.loads(loading.said)["n_calls"]
    yield ";\n".join(f"{work.name}: {memory(work, n_calls=n_calls, bound=140)}" for work in works) + "."


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--large", type=Path, default=TRACES / "ls-2M-events.dat")
    parser.add_argument("--lossy", type=Path, default=TRACES / "insmod-dummy-lossy.dat")
    parser.add_argument("--events", default="2000000,20000000")
    parser.add_argument("--many", type=int, default=40_000_000, help="events of the largest trace; 0 leaves it out")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    options = parser.parse_args()
    if not shutil.which("trace-cmd"):
        sys.exit("trace-cmd is what kfgraph is measured beside: apt-get install trace-cmd")
    traces = [path if path.exists() else SMALL for path in (options.large, options.lossy)]
    lines = [
        f"Median of {options.runs} runs; Python {platform.python_version()}, {platform.machine()}, "
        f"{os.cpu_count()} cores that other work shares."
    ]
    with tempfile.TemporaryDirectory() as folder:
        parts = [
            large(traces[0], options.runs, Path(folder)),
            plain(traces[1], options.runs, Path(folder)),
            start_up(3 * options.runs, Path(folder)),
            loops(options.runs),
        ]
        if sizes := [int(n) for n in options.events.split(",") if n]:
            parts.append(synthetic(sizes, options.runs, Path(folder)))
        if options.many:
            parts.append(many(options.many, options.runs, Path(folder)))
        print(lines[0], flush=True)
        for part in parts:
            for line in ("", *part):
                print(line, flush=True)
                lines.append(line)
    if options.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text("\n".join((before + BEGIN, *lines, END)) + rest.partition(END)[2])


if __name__ == "__main__":
    main()
