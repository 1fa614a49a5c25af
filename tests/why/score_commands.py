"""How ``why`` answers for each command of a recording of many, without cutting it apart.

    python tests/why/score_commands.py RECORDING.dat RUNS...

RECORDING and RUNS are as for cut_commands.py, in pairs. Each command is judged as if it had been recorded alone: with
its own processes, first as the command ended, then as if its status were not known (an attached process, a trace of
trace-cmd). What succeeded must be answered with ``nothing``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cut_commands import Command, commands_of

import kfgraph
from kfgraph.analyze.why import Why, summary, why
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


def main() -> int:
    words = [Path(word) for word in sys.argv[1:]]
    n = n_failed = n_blamed = 0
    for recording, runs in zip(words[::2], words[1::2], strict=True):
        for one in answers(recording, runs):
            if one.command.status:
                n_failed += 1
                print(f"{one.command.name:20} ended with {one.command.status}: {'; '.join(summary(one.known))}")
                continue
            n += 1
            if one.blamed:
                n_blamed += 1
                told = [f"{answer.outcome} {'; '.join(summary(answer))}" for answer in (one.known, one.unknown)]
                print(f"{one.command.name:20} blamed: {told[0]} | status unknown: {told[1]}")
    print(f"{n} commands that succeeded, {n_blamed} blamed; {n_failed} that failed")
    return int(n_blamed > 0)


if __name__ == "__main__":
    sys.exit(main())
