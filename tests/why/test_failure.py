"""Which failure of a trace decided how its command ended: the rules, each on a few calls."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from kfgraph.analyze import failure
from kfgraph.analyze.endings import exit_codes
from kfgraph.analyze.failure import Failed, deciding, failed_calls
from kfgraph.analyze.syscalls import SystemCall
from kfgraph.analyze.why import why
from kfgraph.kernel.benign import BENIGN, benign
from kfgraph.model.companion import Companion
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace


def made(name: str, result: int | None, path: str | None = None, *, at: int = 0, lane: int = 0) -> SystemCall:
    error = result if result is not None and result < 0 else 0
    paths = () if path is None else (path,)
    return SystemCall(name, lane, at, -1, at, 10, 10, result, error, "return value", "", paths)


def judged(
    monkeypatch, *calls: SystemCall, status: int | None = 1, codes: dict[int, int] | None = None
) -> list[Failed]:
    """What is said of these calls, one after another."""
    from builder.tables import call, trace_of

    placed = [replace(c, start_ns=-1 if c.start_ns < 0 else i, row=i) for i, c in enumerate(calls)]
    monkeypatch.setattr(failure, "system_calls", lambda trace, lanes: placed)
    monkeypatch.setattr(failure, "exit_codes", lambda trace: codes or {})
    trace: Trace = trace_of([call("f")])
    companion = None if status is None else Companion(exit_status=status)
    return failed_calls(replace(trace, companion=companion))


def name_of(found: Failed | None) -> tuple[str, str | None] | None:
    return None if found is None else (found.call.name, found.call.path)


def test_the_last_that_is_not_benign_decided(monkeypatch) -> None:
    failed = judged(
        monkeypatch, made("openat", -2, "/etc/ld.so.preload"), made("ioctl", -25), made("mount", -22, "/dev/x"),
        made("openat", -2, "/usr/share/locale/de/LC_MESSAGES/util-linux.mo"),
    )  # fmt: skip
    assert [bool(one.benign) for one in failed] == [True, True, False, True]
    assert name_of(deciding(failed)) == ("mount", "/dev/x")


def test_what_is_found_later_in_another_place_decided_nothing(monkeypatch) -> None:
    failed = judged(
        monkeypatch, made("execve", -2, "/bin/x"), made("execve", 0, "/usr/bin/x"),
        made("openat", -2, "/a/libfoo.cfg"), made("openat", 3, "/b/libfoo.cfg"), made("openat", -2, "/y"),
    )  # fmt: skip
    assert [one.call.path for one in failed if not one.benign] == ["/y"]


def test_a_call_that_did_something_counts_more_than_a_look_up(monkeypatch) -> None:
    failed = judged(monkeypatch, made("rmdir", -39, "/d"), made("openat", -2, "/etc/nothing"))
    assert name_of(deciding(failed)) == ("rmdir", "/d")
    # A look-up that was forbidden is no search.
    failed = judged(monkeypatch, made("openat", -13, "/etc/shadow"), made("openat", -2, "/etc/nothing"))
    assert name_of(deciding(failed)) == ("openat", "/etc/shadow")


def test_a_command_or_a_task_that_succeeded_has_no_deciding_failure(monkeypatch) -> None:
    assert deciding(judged(monkeypatch, made("mount", -22, "/x"), status=0)) is None
    failed = judged(monkeypatch, made("mount", -22, "/x", lane=0), made("mkdir", -17, "/y", lane=1), codes={0: 0, 1: 3})
    assert name_of(deciding(failed)) == ("mkdir", "/y")


def test_where_no_status_is_known_a_look_up_that_was_outlived_decided_nothing(monkeypatch) -> None:
    many = [made("read", 1)] * 21
    assert deciding(judged(monkeypatch, made("openat", -2, "/x"), *many, status=None)) is None
    few = [made("read", 1)] * 20
    assert name_of(deciding(judged(monkeypatch, made("openat", -2, "/x"), *few, status=None))) == ("openat", "/x")
    # If the command is told to have failed, it is the best that is known, and not certain.
    doubt = "more than 20 system calls of its task succeeded after it: it may have gone on without it"
    ended = made("lseek", -29), made("exit_group", None)
    found = deciding(judged(monkeypatch, made("openat", -2, "/x"), *many, *ended))
    assert found is not None and found.call.name == "lseek" and "the program ended right after it" in found.doubt
    assert name_of(deciding(judged(monkeypatch, made("openat", -2, "/x"), *few[1:], *ended))) == ("openat", "/x")
    for later, said in ((many, doubt), (few, ""), ([replace(made("read", 1), lane=1)] * 21, "")):
        found = deciding(judged(monkeypatch, made("openat", -2, "/x"), *later))
        assert found is not None and (found.call.path, found.doubt) == ("/x", said)


@pytest.mark.parametrize(
    ("call", "error", "path"),
    [
        ("read", -11, None), ("futex", -4, None), ("nanosleep", -516, None), ("ioctl", -25, None), ("wait4", -10, None),
        ("lseek", -29, None), ("clone3", -38, None), ("lgetxattr", -61, "/x"), ("connect", -2, "/var/run/nscd/socket"),
        ("openat", -2, "/usr/lib/glibc-hwcaps/x86-64-v3/libc.so.6"), ("openat", -2, "/usr/lib/locale/C.UTF-8/LC_TIME"),
        ("openat", -2, "/sys/module/compression"), ("read", -61, None),
    ],
)  # fmt: skip
def test_what_is_usual(call, error, path) -> None:
    assert benign(call, error, path)


@pytest.mark.parametrize(
    ("call", "error", "path"),
    [
        ("openat", -2, "/nonexistent"), ("openat", -13, "/etc/shadow"), ("ioctl", -22, None), ("mount", -38, "/x"),
        ("connect", -2, "/run/foo"), ("finit_module", -2, None), ("write", -28, None), ("openat", -2, None),
        ("openat", -5, "/usr/lib/libc.so.6"), ("clone", -11, None), ("setuid", -11, None),
    ],
)  # fmt: skip
def test_what_is_not(call, error, path) -> None:
    assert benign(call, error, path) == ""


def test_every_rule_has_its_reason() -> None:
    assert all(rule.reason and rule.calls and rule.errors for rule in BENIGN)


def test_of_several_acts_the_last_decided(monkeypatch) -> None:
    failed = judged(monkeypatch, made("mkdir", -17, "/a"), made("mount", -22, "/b"))
    assert name_of(deciding(failed)) == ("mount", "/b")


def test_judging_takes_as_many_steps_as_there_are_calls(monkeypatch) -> None:
    def steps(n: int) -> int:
        """Lines run in this module for n failures of each kind, which nothing after them explains."""
        n_lines = 0

        def count(frame, event, arg):
            nonlocal n_lines
            if frame.f_code.co_filename != failure.__file__:
                return None
            n_lines += event == "line"
            return count

        each = [
            call
            for i in range(n)
            for call in (made("openat", -2, f"/a/{i}"), replace(made("mount", -22, f"/m{i}"), text=f"{i}"),
                         made("execve", -13, f"/x{i}"), made("read", 5))
        ]  # fmt: skip
        before = sys.gettrace()
        sys.settrace(count)
        try:
            assert len(judged(monkeypatch, *each, status=None)) == 3 * n
        finally:
            sys.settrace(before)
        return n_lines

    few, many = steps(20), steps(200)
    assert few > 100
    assert many < 12 * few


def test_the_arguments_of_what_ends_a_task_tell_its_status() -> None:
    """On 7.2, without any event: the status in the second byte, a signal in the first."""
    from builder.tables import call, trace_of

    def ends(*calls: tuple[str, str]) -> dict[int, int]:
        return exit_codes(trace_of([call(name, args=args) for name, args in calls]))

    assert ends(("do_group_exit", "exit_code=0")) == {0: 0}
    assert ends(("do_exit", "code=256")) == {0: 1}
    assert ends(("do_exit.constprop.0", "code=0x300")) == {0: 3}
    assert ends(("do_group_exit", "exit_code=9"), ("do_exit", "code=9")) == {0: 137}
    assert ends(("do_exit", "")) == ends(("do_something", "code=256")) == ends(("do_exit", "0x100")) == {}


@pytest.mark.parametrize("ended", ["status", "arguments", "nothing"])
def test_where_nothing_tells_how_the_command_ended_the_answer_is_not_certain(ended: str) -> None:
    from builder.tables import call, trace_of

    missing = (1 << 64) - 2
    opened = call("__x64_sys_openat", 5, call("do_open", retval=missing), retval=missing)
    trace = trace_of([opened, call("do_group_exit", args="exit_code=256" if ended == "arguments" else "")])
    if ended == "status":
        trace = replace(trace, companion=Companion(exit_status=1))
    answer = why(trace)
    assert answer.birth is not None and answer.birth.step.function == "do_open" and answer.outcome == "cause"
    assert answer.birth.sure == (ended != "nothing")
    assert ("it may have gone on without this call" in " ".join(answer.doubts)) == (ended == "nothing")
    ended_well = trace_of([opened, call("do_group_exit", args="exit_code=0")])
    assert why(ended_well).outcome == "nothing"


TTY = made("ioctl", -25)
SAYS_SO = (made("write", 9), made("openat", -2, "/usr/share/locale/de/LC_MESSAGES/libc.mo"), made("exit_group", None))


@pytest.mark.parametrize(
    ("last", "after"),
    [
        (TTY, SAYS_SO),
        (made("flock", -11), ()),
        (made("openat", -2, "/usr/lib/libnone.so.1"), (made("writev", 80), made("exit_group", None))),
        (made("getxattr", -61, "/a"), SAYS_SO),
        (made("lseek", -29), SAYS_SO),
        (made("read", -61), (made("fcntl", 1), made("munmap", 0), *SAYS_SO)),  # cat of a sensor's file; error(3)
        (made("read", -11), SAYS_SO),
        (made("write", -11), SAYS_SO),
    ],
)  # fmt: skip
def test_a_usual_failure_counts_where_the_program_only_said_so_and_ended(monkeypatch, last, after) -> None:
    before = (made("access", -2, "/etc/ld.so.preload"), made("read", 100), made("ioctl", -25))
    failed = judged(monkeypatch, *before, last, *after, status=1)
    found = deciding(failed)
    assert found is not None and (found.call.name, found.call.error) == (last.name, last.error)
    assert found.call.start_ns == 3 and "nothing else explains it" in found.doubt
    for status, codes in ((0, {}), (None, {}), (None, {0: 0}), (1, {0: 0})):
        assert deciding(judged(monkeypatch, *before, last, *after, status=status, codes=codes)) is None
    assert deciding(judged(monkeypatch, *before, last, *after, status=None, codes={0: 2})) is not None


@pytest.mark.parametrize(
    "calls",
    [
        (TTY, made("read", 10), made("write", 3), made("exit_group", None)),  # grep that found nothing
        (made("wait4", -10), made("exit_group", None)),
        (made("poll", 0), made("read", -11), made("exit_group", None)),
        (made("pause", -514), made("exit_group", None)),
        (made("access", -2, "/etc/ld.so.preload"), made("openat", 3, "/lib/libc.so.6"), made("exit_group", None)),
        (made("mkdir", -17, "/a"), TTY, made("exit_group", None)),  # mkdir decided
    ],
)  # fmt: skip
def test_a_usual_failure_counts_in_no_other_case(monkeypatch, calls) -> None:
    found = deciding(judged(monkeypatch, *calls, status=1))
    assert found is None or found.call.name == "mkdir"
    assert (found is not None) == (calls[0].name == "mkdir")


def test_look_ups_of_unknown_paths_do_not_hide_what_the_program_gave_up_for(monkeypatch) -> None:
    search, end = made("access", -2), (made("write", 9), made("openat", -2), made("exit_group", None))
    found = deciding(judged(monkeypatch, search, made("read", -61), *end, status=1))
    assert name_of(found) == ("read", None) and found is not None and "nothing else explains it" in found.doubt
    # Nothing usual ended it: then it was the look-up.
    found = deciding(judged(monkeypatch, search, made("read", 5), *end, status=1))
    assert name_of(found) == ("openat", None)
    known = made("openat", -2, "/a")
    assert name_of(deciding(judged(monkeypatch, known, made("read", -61), *end, status=1))) != ("read", None)


def test_of_look_ups_of_unknown_paths_the_last_that_met_no_folder_decided(monkeypatch) -> None:
    catalogues = [made("openat", -2), made("openat", -2), made("openat", -2)]
    found = deciding(judged(monkeypatch, *catalogues, made("openat", -20, at=4)))
    assert found is not None and (found.call.error, found.call.row) == (-20, 3)
    # Catalogues that are not there may come after it: then the first of the run decides, as before.
    found = deciding(judged(monkeypatch, made("openat", -20), *catalogues))
    assert found is not None and (found.call.error, found.call.row) == (-20, 0)
    found = deciding(judged(monkeypatch, *catalogues, made("openat", -2)))
    assert found is not None and (found.call.error, found.call.row) == (-2, 0)


@pytest.mark.parametrize("execute", ["execve", "execveat"])
def test_what_a_task_executed_another_program_after_decided_nothing(monkeypatch, execute) -> None:
    wrapper = made("connect", -2), made("prlimit64", -1)
    found = judged(monkeypatch, *wrapper, made(execute, 0, "/bin/tool"), made("mkdir", -17, "/a"))
    assert [one.benign for one in found] == ["its task executed another program after it"] * 2 + [""]
    # Nor where nothing failed after it; but it does where the other program was not there, or another task's.
    assert deciding(judged(monkeypatch, *wrapper, made(execute, 0, "/bin/tool"))) is None
    for other in (made(execute, -13, "/bin/tool"), made(execute, 0, "/bin/tool", lane=1)):
        found = judged(monkeypatch, *wrapper, other)
        assert [one.benign for one in found[:2]] == ["", ""]
    # Of a call whose time is not known nothing tells that it was before.
    found = judged(monkeypatch, made("mkdir", -13, at=-1), made(execute, 0, "/bin/tool"))
    assert [one.benign for one in found] == [""]


def test_what_could_not_be_made_is_not_there_afterwards(monkeypatch) -> None:
    touch = made("openat", -30, "ro/x"), made("utimensat", -2, "ro/x")
    assert name_of(deciding(judged(monkeypatch, *touch))) == ("openat", "ro/x")
    # Of another path, of another task, or another error, it is a failure of its own.
    for last in (
        made("utimensat", -2, "ro/y"), made("utimensat", -2, "ro/x", lane=1), made("utimensat", -13, "ro/x"),
        made("utimensat", -2),
    ):  # fmt: skip
        assert name_of(deciding(judged(monkeypatch, touch[0], last))) == ("utimensat", last.path)
    twice = made("mkdir", -2, "ro/x"), made("utimensat", -2, "ro/x")
    assert name_of(deciding(judged(monkeypatch, *twice))) == ("utimensat", "ro/x")


@pytest.mark.parametrize(
    "first",
    [
        made("mkdir", -17, "lock"), made("openat", -21, "lock"), made("rmdir", -39, "lock"), made("mount", -16, "lock"),
        made("unlink", -13, "lock"),
    ],
)  # fmt: skip
def test_what_was_there_is_missing_for_another_reason(monkeypatch, first) -> None:
    found = deciding(judged(monkeypatch, first, made("rmdir", -2, "lock")))
    assert found is not None and (found.call.name, found.call.error) == ("rmdir", -2)


def test_a_look_up_that_another_task_outlived_does_not_hide_one_that_decided(monkeypatch) -> None:
    child = [replace(one, lane=1) for one in (made("openat", -2, "/y"), *[made("read", 1)] * 21)]
    found = deciding(judged(monkeypatch, made("openat", -2, "/x"), *child))
    assert found is not None and (found.call.path, found.doubt) == ("/x", "")
    assert name_of(deciding(judged(monkeypatch, *child))) == ("openat", "/y")


def test_where_no_failure_decided_it_is_not_said_that_nothing_failed(monkeypatch) -> None:
    from builder.tables import call, trace_of

    trace = replace(trace_of([call("f")]), companion=Companion(exit_status=3))
    monkeypatch.setattr(failure, "system_calls", lambda trace, lanes: [])
    assert "no system call that was recorded with its result failed" in why(trace).reason
    monkeypatch.setattr(failure, "system_calls", lambda trace, lanes: [made("mkdir", -17), made("execve", 0, at=1)])
    reason = "the command ended with status 3, and none of its failed system calls decided that"
    assert why(trace).reason == f"{reason} (kfgraph why --all lists them)"


def test_of_several_tasks_the_commands_own_counts(monkeypatch) -> None:
    """A child's terminal test decides nothing of the shell that started it."""
    from builder.tables import call, trace_of
    tasks = [Task(pid=10, comm="sh"), Task(pid=11, comm="tty")]
    trace = trace_of([call("f")], [call("f")], tasks=tasks)
    calls = [made("ioctl", -25, lane=1, at=1), made("wait4", 11, at=2), made("exit_group", None, at=3)]
    monkeypatch.setattr(failure, "exit_codes", lambda trace: {0: 1, 1: 1})
    companion = Companion(exit_status=1, pids=(10, 11))
    trace = replace(trace, companion=companion, command_lanes=frozenset({0, 1}))
    for shell, decided in ((calls, False), ([replace(calls[0], lane=0), calls[2]], True)):
        monkeypatch.setattr(failure, "system_calls", lambda trace, lanes, calls=shell: calls)
        assert (deciding(failed_calls(trace)) is not None) == decided


def test_what_a_child_failed_with_counts_only_if_the_command_did(monkeypatch) -> None:
    """An attached process has no status for kfgraph; its own exit tells it, whatever its children ended with."""
    from builder.tables import call, trace_of

    trace = trace_of([call("f")], [call("f")], tasks=[Task(pid=10, comm="sh"), Task(pid=11, comm="cat")])
    trace = replace(trace, companion=Companion(pids=(10, 11)), command_lanes=frozenset({0, 1}))
    calls = [made("openat", -13, "/etc/shadow", lane=1, at=1), made("wait4", 11, at=2)]
    monkeypatch.setattr(failure, "system_calls", lambda trace, lanes: calls)
    for codes, decided in (({0: 0, 1: 1}, False), ({0: 1, 1: 1}, True), ({1: 1}, True), ({}, True)):
        monkeypatch.setattr(failure, "exit_codes", lambda trace, codes=codes: codes)
        assert (deciding(failed_calls(trace)) is not None) == decided, codes
