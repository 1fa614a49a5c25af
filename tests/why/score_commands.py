"""How ``why`` answers for each command of a recording of many, without cutting it apart.

    python tests/why/score_commands.py RECORDING.dat...

RECORDING.runs are as for cut_commands.py. Each command is judged as if it had been recorded alone: with
its own processes, first as the command ended, then as if its status were not known (an attached process, a trace of
trace-cmd). What succeeded must be answered with ``nothing``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cut_commands import Command, commands_of

import kfgraph
from kfgraph.analyze.why import Why, why
from kfgraph.analyze.whywords import summary
from kfgraph.model.trace import Trace


@dataclass(frozen=True)
class Answered:
    """One command: what is said of it as it ended, and where its status is not known."""

    command: Command
    known: Why
    unknown: Why

    @property
    def blamed(self) -> bool:
        """Whether a cause is reported, or an error that nobody passed on, of a command that succeeded."""
        return any(answer.outcome != "nothing" or answer.swallowed for answer in (self.known, self.unknown))


def answers(recording: Path, runs: Path) -> Iterator[Answered]:
    """Of each command of ``recording`` that was recorded, in order."""
    trace = kfgraph.load(recording)
    for command in commands_of(runs.read_text()):
        alone = _alone(trace, command)
        if alone.command_lanes:
            known = why(_with_status(alone, command.status))
            yield Answered(command, known, why(_with_status(alone, None)))


def _alone(trace: Trace, command: Command) -> Trace:
    lanes = [lane for lane, task in enumerate(trace.tasks.tasks) if command.pid <= task.pid < command.next_pid]
    assert trace.companion is not None
    companion = replace(trace.companion, pids=(command.pid,), argv=(command.name,), modules=())
    return replace(trace, command_lanes=frozenset(lanes), companion=companion)


def _with_status(trace: Trace, status: int | None) -> Trace:
    assert trace.companion is not None
    return replace(trace, companion=replace(trace.companion, exit_status=status))


def told_of(recordings: Sequence[Path]) -> list[str]:
    """Print how often commands that succeeded were blamed, and of which; what was blamed. The runs lie beside."""
    n = n_failed = 0
    blamed = list[str]()
    for recording in recordings:
        for one in answers(recording, recording.with_suffix(".runs")):
            name = one.command.name
            if one.command.status:
                n_failed += 1
                print(f"{name:20} ended with {one.command.status}: {'; '.join(summary(one.known))}")
                continue
            n += 1
            if one.blamed:
                told = [f"{answer.outcome} {'; '.join(summary(answer))}" for answer in (one.known, one.unknown)]
                blamed.append(f"{name:20} blamed: {told[0]} | status unknown: {told[1]}")
                print(blamed[-1])
    print(f"{n} commands that succeeded, {len(blamed)} blamed; {n_failed} that failed", flush=True)
    return blamed


if __name__ == "__main__":
    sys.exit(int(bool(told_of(list(map(Path, sys.argv[1:]))))))
