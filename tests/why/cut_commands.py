"""Fixtures out of a recording of many commands, one after another.

    python tests/why/cut_commands.py RECORDING.dat RUNS FOLDER

RECORDING is of a script that runs commands (``kfgraph trace -f -- bash script``), RUNS has two lines for each, in
order: ``NAME PID`` when it begins, ``NAME = STATUS`` when it has ended. FOLDER gets NAME.dat of those that ended with
0, cut (builder.cut), and its companion, as if that command had been recorded alone: with the processes that it started.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import kfgraph
from builder import cut


@dataclass(frozen=True)
class Command:
    """One command of a recording: its own pid, that of the next command (its children lie between), and its status."""

    name: str
    pid: int
    next_pid: int
    status: int


def commands_of(runs: str) -> list[Command]:
    """What a list of runs says; the script that was recorded may not have wrapped the numbers of processes."""
    begun, ended = list[tuple[str, int]](), dict[str, int]()
    for line in runs.splitlines():
        name, _, rest = line.partition(" ")
        if rest.startswith("="):
            ended[name] = int(rest[1:])
        else:
            begun.append((name, int(rest)))
    following = [pid for _, pid in begun[1:]] + [1 << 30]
    return [Command(n, pid, after, ended.get(n, -1)) for (n, pid), after in zip(begun, following, strict=True)]


def cut_commands(recording: Path, runs: Path, out: Path) -> list[str]:
    """Cut every command of ``recording`` that succeeded; a sentence for each that could not be."""
    out.mkdir(exist_ok=True, parents=True)
    trace = kfgraph.load(recording)
    commands = commands_of(runs.read_text())
    owner = {}
    for task in trace.tasks.tasks:
        for one in commands:
            if one.pid <= task.pid < one.next_pid:
                owner[task.pid] = one.name
    # The shell that runs them has the lowest number, and is none of them.
    found = cut.rewrite(recording, lambda _, record: _taken(owner, record.pid), names=trace, named=False)
    problems = []
    for one in commands:
        if one.status:
            problems.append(f"{one.name} ended with {one.status}")
            continue
        if one.name not in found:
            problems.append(f"{one.name} was not recorded")
            continue
        pids = [one.pid, *sorted(pid for pid, name in owner.items() if name == one.name and pid != one.pid)]
        companion = cut.companion_of(
            trace.companion, argv=[one.name], pids=pids, follow=True, exit_status=0, modules=[], probes=None
        )
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / f"{one.name}.dat"
            cut.put(whole, found[one.name], companion)
            problems.append(cut.write(whole, out / f"{one.name}.dat", calls=True))
    return [problem for problem in problems if problem]


def _taken(owner: dict[int, str], pid: int) -> Hashable:
    return owner.get(pid, False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    problems = cut_commands(given.recording, given.runs, given.out)
    print("\n".join(problems) or "all cut", file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
