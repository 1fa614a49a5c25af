"""Which failure of a trace decided how its command ended."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from kfgraph.analyze.endings import exit_codes
from kfgraph.analyze.syscalls import SystemCall, system_calls
from kfgraph.kernel.benign import benign, could_not_make, looks_a_path_up, may_end, only_tells, polls
from kfgraph.model.trace import Trace

_FOUND_LATER = "found later, in another place"
_EXECUTED_LATER = "its task executed another program after it"
_SUCCEEDED_LATER = "the same call succeeded later"
_TASK_SUCCEEDED = "its task ended with status 0"
_COMMAND_SUCCEEDED = "the command ended with status 0"
_WENT_ON = "the program went on without it"
_ENDED_AFTER_IT = "such a failure is usual, but nothing else explains it, and the program ended right after it"
_EXECUTES = ("execve", "execveat")
_EAGAIN = 11
_ENOENT, _ENOTDIR = 2, 20
_MANY = 20
"""A program that makes so many system calls after a look-up that found nothing has gone on without it."""
_MAY_HAVE_GONE_ON = f"more than {_MANY} system calls of its task succeeded after it: it may have gone on without it"


@dataclass(frozen=True)
class Failed:
    """One failed system call; ``benign`` is why it decides nothing, "" where it may; ``doubt`` why that is not certain.
    """

    call: SystemCall
    benign: str = ""
    doubt: str = ""


def failed_calls(trace: Trace, lanes: Sequence[int] | None = None) -> list[Failed]:
    """Every system call that returned an error, in time order, each judged."""
    wanted = _lanes(trace) if lanes is None else lanes
    calls = sorted(system_calls(trace, wanted), key=lambda call: (call.start_ns, call.lane, call.row))
    codes = exit_codes(trace)
    status = _status(trace, codes)
    if status == 0:
        return [Failed(call, _usual(call) or _COMMAND_SUCCEEDED) for call in calls if call.error]
    failed = _judged(calls, codes)
    # Where nothing says that the command failed, a look-up that it outlived by far decided nothing.
    is_told = status is not None or any(codes.values())
    failed = _outlived(failed, calls, is_told=is_told)
    if is_told and all(one.benign or one.doubt or _of_nothing_known(one.call) for one in failed):
        failed = _at_the_end(trace, failed, calls, codes, status)
    return failed


def _status(trace: Trace, codes: dict[int, int]) -> int | None:
    """How the command ended: as kfgraph saw it, else as its own task did, whatever its children did."""
    companion = trace.companion
    if companion is None or companion.exit_status is not None:
        return None if companion is None else companion.exit_status
    own = trace.tasks.lanes_of(pid=companion.pids[0])[:1] if companion.pids else []
    return codes.get(own[0]) if own else None


def _at_the_end(
    trace: Trace, failed: Sequence[Failed], calls: Sequence[SystemCall], codes: dict[int, int], status: int | None
) -> list[Failed]:
    """Where nothing serious failed, and yet the command did: a usual failure after which it only said so and ended."""
    lanes = _lanes(trace)
    if trace.companion is not None and trace.companion.pids:
        own = trace.tasks.lanes_of(pid=trace.companion.pids[0])[:1]
        lanes = [lane for lane in lanes if lane in own]
    if len(lanes) != 1 or not codes.get(lanes[0], status):
        return list(failed)
    made = [call for call in calls if call.lane == lanes[0]]
    for call in reversed(made):
        if call.error == -_EAGAIN and any(polls(one.name) for one in made):
            break  # it knows how to wait: this one only told it to
        if call.error and may_end(call.name, call.error, call.path):
            return [Failed(call, doubt=_ENDED_AFTER_IT) if one.call is call else one for one in failed]
        if not (only_tells(call.name) or (call.error and (_usual(call) or _of_nothing_known(call)))):
            break
    return list(failed)


def _judged(calls: Sequence[SystemCall], codes: dict[int, int]) -> list[Failed]:
    """The calls that failed, from the last to the first: what came after each is known by then."""
    failed: list[Failed] = []
    successes = _Successes()
    for call in reversed(calls):
        if call.error:
            failed.append(Failed(call, _judge(call, successes, codes)))
        else:
            successes.add(call)
    failed.reverse()
    return failed


class _Successes:
    """What succeeded after the call at hand, task by task."""

    def __init__(self) -> None:
        self.executed: set[tuple[int, str]] = set()
        self.found: set[tuple[int, str]] = set()
        self.succeeded: set[tuple[int, str, str | None, str]] = set()

    def add(self, call: SystemCall) -> None:
        """One more, which returned no error."""
        if call.result is None:
            return
        if call.result == 0:
            self.executed.add((call.lane, call.name))
        if call.path is not None:
            self.found.add((call.lane, PurePosixPath(call.path).name))
        self.succeeded.add((call.lane, call.name, call.path, call.text))


def _outlived(failed: Sequence[Failed], calls: Sequence[SystemCall], *, is_told: bool) -> list[Failed]:
    """A look-up after which its task made many calls that succeeded decided nothing; if the command is told to have
    failed (``is_told``), it may have.
    """
    begins: dict[int, list[int]] = {}
    for call in calls:
        if not call.error:
            begins.setdefault(call.lane, []).append(call.start_ns)
    found = []
    for one in failed:
        in_lane = begins.get(one.call.lane, [])
        n_later = len(in_lane) - bisect_right(in_lane, one.call.start_ns)
        went_on = not one.benign and _is_search(one.call) and n_later > _MANY
        judged = Failed(one.call, doubt=_MAY_HAVE_GONE_ON) if is_told else Failed(one.call, _WENT_ON)
        found.append(judged if went_on else one)
    return found


def _usual(call: SystemCall) -> str:
    return benign(call.name, call.error, call.path)


def deciding(failed: Sequence[Failed]) -> Failed | None:
    """The failure that decided how the command ended, as far as can be told: the last that is not benign.

    Programs search: of a run of look-ups that find nothing, with nothing else that failed after them, the first
    decides. What comes behind it is the search for words to say so.
    """
    serious = [one for one in failed if not one.benign]
    if not serious:
        return None
    acts = [one for one in serious if not _is_search(one.call)]
    if acts:
        return _cause_of(acts[-1], acts)
    last = next((one for one in reversed(serious) if one.doubt != _MAY_HAVE_GONE_ON), serious[-1])
    run = [one for one in serious if one.call.lane == last.call.lane]
    if all(one.call.path is not None for one in run):
        return last
    # Without paths the messages' catalogues cannot be told from what was looked for, unless by the error.
    if last.call.error == -_ENOTDIR:
        return last
    return run[-1] if len(run) < 3 else next(one for one in run if one.call.name == run[-1].call.name)


def _cause_of(last: Failed, acts: Sequence[Failed]) -> Failed:
    """``last``, or what failed before it to make the same path: what could not be made is not there."""
    call = last.call
    if call.error != -_ENOENT or call.path is None:
        return last
    same = [one for one in acts if (one.call.lane, one.call.path) == (call.lane, call.path)]
    return next((one for one in reversed(same) if could_not_make(one.call.name, one.call.error)), last)


def _of_nothing_known(call: SystemCall) -> bool:
    """A look-up that found nothing, of a path that was not recorded: perhaps one of a usual search."""
    return _is_search(call) and call.path is None


def _is_search(call: SystemCall) -> bool:
    return looks_a_path_up(call.name) and call.error in (-_ENOENT, -_ENOTDIR)


def _lanes(trace: Trace) -> list[int]:
    if trace.command_lanes is not None:
        return sorted(trace.command_lanes)
    return [lane for lane, task in enumerate(trace.tasks.tasks) if task.pid != 0]


def _judge(call: SystemCall, successes: _Successes, codes: dict[int, int]) -> str:
    usual = _usual(call)
    if usual:
        return usual
    if codes.get(call.lane) == 0:
        return _TASK_SUCCEEDED
    if {(call.lane, name) for name in _EXECUTES} & successes.executed:
        if call.name in _EXECUTES:
            return _FOUND_LATER
        if call.start_ns >= 0:  # else it stands first, whenever it was
            return _EXECUTED_LATER
    if looks_a_path_up(call.name):
        found = call.path is not None and (call.lane, PurePosixPath(call.path).name) in successes.found
        return _FOUND_LATER if found else ""
    if call.text and (call.lane, call.name, call.path, call.text) in successes.succeeded:
        return _SUCCEEDED_LATER
    return ""
