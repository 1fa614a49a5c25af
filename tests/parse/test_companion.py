"""TRACE.kfgraph.json beside a trace: whose calls are the command's, and what ran before its exec."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kfgraph.analyze.select import select
from kfgraph.model.calls import Flag
from kfgraph.model.companion import Companion
from kfgraph.model.files import COMPANION_SUFFIX
from kfgraph.model.trace import Trace
from reference.cases import load_checked, rows

COMMAND = Companion(argv=("x",), pids=(7,))


def line(pid: int, text: str, *, event: str = "funcgraph_entry", comm: str = "x") -> str:
    return f"{comm:>16}-{pid}   [000]   432.933632: {event}: {text}\n"


def entry(pid: int, name: str, depth: int = 0) -> str:
    return line(pid, f"                  |{'  ' * (depth + 1)}{name}() {{")


def leaf(pid: int, name: str, depth: int = 0) -> str:
    return line(pid, f"       1.000 us   |{'  ' * (depth + 1)}{name}();")


def leave(pid: int, depth: int = 0) -> str:
    return line(pid, f"       3.000 us   |{'  ' * (depth + 1)}}}", event="funcgraph_exit")


LAUNCH = (
    leaf(7, "mutex_unlock")
    + entry(7, "ksys_read")
    + leaf(7, "pipe_read", 1)
    + leave(7)
    + entry(7, "x64_sys_call")
    + entry(7, "__x64_sys_execve", 1)
    + leaf(7, "getname_flags", 2)
    + leaf(7, "begin_new_exec", 2)
    + leave(7, 1)
    + leave(7)
)
AFTER = leaf(7, "vfs_open") + leaf(9, "stray") + entry(7, "do_group_exit")


def load_with(tmp_path: Path, text: str, companion: Companion | dict[str, Any] | str, name: str = "trace.txt") -> Trace:
    path = tmp_path / name
    path.write_text(text)
    if isinstance(companion, Companion):
        companion = companion.to_dict()
    Path(f"{path}{COMPANION_SUFFIX}").write_text(companion if isinstance(companion, str) else json.dumps(companion))
    return load_checked(path)


def pre_exec(trace: Trace) -> list[str]:
    return [name for name, flags in rows(trace, "flags") if flags & Flag.PRE_EXEC]


def test_without_a_companion_nothing_is_known(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text(LAUNCH)
    trace = load_checked(path)
    assert trace.companion is None and trace.command_lanes is None and pre_exec(trace) == []


def test_the_exec_belongs_to_the_command_and_what_was_before_does_not(tmp_path: Path) -> None:
    given = Companion(argv=("true",), pids=(7,), exit_status=0)
    trace = load_with(tmp_path, LAUNCH + AFTER, given)
    assert trace.companion == given and not [n for n in trace.notices if n.code.startswith("companion")]
    assert [trace.tasks[lane].pid for lane in sorted(trace.command_lanes or ())] == [7]
    assert pre_exec(trace) == ["mutex_unlock", "ksys_read", "pipe_read"]


def test_the_kernel_of_a_trace_that_does_not_say(tmp_path: Path, repository: Path) -> None:
    given = Companion(argv=("true",), pids=(7,), kernel="6.1.0-fake")
    assert load_with(tmp_path, LAUNCH, given).meta.kernel == "6.1.0-fake"
    shutil.copy(repository / "examples" / "cat-enoent.dat", tmp_path / "own.dat")
    (tmp_path / f"own.dat{COMPANION_SUFFIX}").write_text(json.dumps(given.to_dict()))
    assert load_checked(tmp_path / "own.dat").meta.kernel.startswith("7.2")


def test_that_the_exec_gives_back_the_launchers_memory_is_the_launchers(tmp_path: Path) -> None:
    def unmap(depth: int) -> str:
        return entry(7, "exit_mmap", depth) + leaf(7, "unmap_vmas", depth + 1) + leave(7, depth)

    text = leaf(7, "ptrace_stop") + entry(7, "bprm_execve") + leaf(7, "sched_exec", 1) + entry(7, "begin_new_exec", 1)
    text += unmap(2) + leave(7, 1) + leave(7)
    # Its own memory, at its end, and that of a second exec.
    second = entry(7, "bprm_execve") + entry(7, "begin_new_exec", 1) + unmap(2) + leave(7, 1) + leave(7)
    trace = load_with(tmp_path, text + second + unmap(0), COMMAND)
    flagged = [i for i, (_, flags) in enumerate(rows(trace, "flags")) if flags & Flag.PRE_EXEC]
    assert pre_exec(trace) == ["ptrace_stop", "exit_mmap", "unmap_vmas"]
    assert flagged == [0, 4, 5]
    # Where the recording begins with the exec, its root is the first row of all.
    assert pre_exec(load_with(tmp_path, second, COMMAND)) == ["exit_mmap", "unmap_vmas"]


def test_the_time_of_the_launchers_end_is_not_the_execs(tmp_path: Path) -> None:
    text = entry(7, "begin_new_exec") + leaf(7, "exit_mmap", 1) + leaf(7, "set_task_comm", 1) + leave(7)
    trace = load_with(tmp_path, text, COMMAND)
    # 3 us in all, of which the launcher's is 1.
    assert select(trace).total_ns.tolist() == [2_000, 1_000, 1_000]
    assert select(trace).keep.tolist() == [True, False, True]
    assert select(trace, pre_exec=True).total_ns.tolist() == [3_000, 1_000, 1_000]
    assert select(trace, pre_exec=True).keep.all()


def test_a_failed_exec_before_the_real_one_is_the_launchers(tmp_path: Path) -> None:
    failed = entry(7, "__x64_sys_execve") + leaf(7, "do_open_execat", 1) + leave(7)
    trace = load_with(tmp_path, failed + LAUNCH, COMMAND)
    assert pre_exec(trace) == ["__x64_sys_execve", "do_open_execat", "mutex_unlock", "ksys_read", "pipe_read"]


@pytest.mark.parametrize("name", ["__x64_sys_execve", "__s390x_sys_execve", "do_execveat_common.isra.0", "bprm_execve"])
def test_the_exec_by_its_entry_alone(name: str, tmp_path: Path) -> None:
    trace = load_with(tmp_path, leaf(7, "before") + entry(7, name) + leave(7) + leaf(7, "after"), COMMAND)
    assert pre_exec(trace) == ["before"]


def test_the_exec_by_its_event_alone(tmp_path: Path) -> None:
    text = leaf(7, "before") + line(7, "filename=/bin/true pid=7 old_pid=7", event="sched_process_exec")
    trace = load_with(tmp_path, text + leaf(7, "after"), COMMAND)
    assert pre_exec(trace) == ["before"]
    inside = leaf(7, "before") + entry(7, "outer") + line(7, "pid=7", event="sched_process_exec") + leave(7)
    assert pre_exec(load_with(tmp_path, inside, COMMAND)) == ["before"]


def test_the_event_tells_a_failed_exec_from_the_real_one(tmp_path: Path) -> None:
    def execve(*inside: str) -> str:
        return entry(7, "__x64_sys_execve") + "".join(inside) + leave(7)

    event = line(7, "filename=/bin/true pid=7 old_pid=7", event="sched_process_exec")
    trace = load_with(tmp_path, execve() + execve(event), COMMAND)
    assert trace.calls.has(Flag.PRE_EXEC).tolist() == [True, False]


def test_the_exec_of_a_process_that_was_attached_to_is_its_own_work(tmp_path: Path) -> None:
    trace = load_with(tmp_path, LAUNCH + AFTER, Companion(pids=(7,)))
    assert pre_exec(trace) == [] and trace.command_lanes


def test_without_an_exec_nothing_is_flagged(tmp_path: Path) -> None:
    assert pre_exec(load_with(tmp_path, AFTER, COMMAND)) == []


def test_behind_a_loss_an_exec_may_be_a_later_one(tmp_path: Path) -> None:
    lost = "CPU:0 [EVENTS DROPPED]\n"
    assert pre_exec(load_with(tmp_path, leaf(7, "a") + lost + LAUNCH, COMMAND)) == []
    after = load_with(tmp_path, LAUNCH + lost + AFTER, COMMAND)
    assert pre_exec(after) == ["mutex_unlock", "ksys_read", "pipe_read"]


def fork(pid: int, child: int, comm: str = "sh") -> str:
    return line(pid, f"comm={comm} pid={pid} child_comm={comm} child_pid={child}", event="sched_process_fork")


@pytest.mark.parametrize("follow", [True, False])
def test_children_are_the_commands_where_they_were_followed(follow: bool, tmp_path: Path) -> None:
    text = leaf(7, "a") + fork(7, 8) + leaf(8, "b") + fork(8, 10) + leaf(10, "c") + fork(9, 11) + leaf(11, "d")
    trace = load_with(tmp_path, text, Companion(argv=("x",), pids=(7,), follow=follow))
    assert {trace.tasks[lane].pid for lane in trace.command_lanes or ()} == ({7, 8, 10} if follow else {7})


def test_a_hostile_comm_forks_nobody(tmp_path: Path) -> None:
    text = leaf(7, "a") + fork(7, 8, comm="child_pid=99") + leaf(8, "b") + leaf(99, "c")
    trace = load_with(tmp_path, text, Companion(argv=("x",), pids=(7,), follow=True))
    assert {trace.tasks[lane].pid for lane in trace.command_lanes or ()} == {7, 8}


@pytest.mark.parametrize(
    "broken", ["", "{", "[]", "null", '{"format": 99}', '{"format": 1, "pids": ["x"]}', '{"format": 1, "modules": [1]}',
               "[" * 100_000, "\x00\xff"]
)  # fmt: skip
def test_a_broken_companion_is_a_notice(broken: str, tmp_path: Path) -> None:
    trace = load_with(tmp_path, LAUNCH, broken)
    assert trace.companion is None and trace.command_lanes is None and len(trace.calls) == 7
    assert [notice.code for notice in trace.notices if notice.code.startswith("companion")] == ["companion-unread"]


@pytest.mark.parametrize(
    ("broken", "why"),
    [("[]", "no object"), ("null", "no object"), ('{"format": 99}', "companion format 99 is not 1"),
     ('{"format": NaN}', "NaN is no number in JSON"), ('{"format": 1e999}', "1e999 is too large a number")],
)  # fmt: skip
def test_a_broken_companion_is_named_with_what_is_wrong(broken: str, why: str, tmp_path: Path) -> None:
    (told,) = [one for one in load_with(tmp_path, LAUNCH, broken).notices if one.code == "companion-unread"]
    assert f"trace.txt.kfgraph.json cannot be read ({why}): " in str(told)


def test_a_companion_of_another_trace_hides_nothing(tmp_path: Path) -> None:
    trace = load_with(tmp_path, LAUNCH, Companion(argv=("x",), pids=(4242,)))
    assert trace.command_lanes is None and pre_exec(trace) == []
    assert [notice.code for notice in trace.notices if notice.code.startswith("companion")] == ["companion-mismatch"]


def test_a_trace_of_everything_has_no_command(tmp_path: Path) -> None:
    trace = load_with(tmp_path, LAUNCH, Companion(argv=("true",)))
    assert trace.companion is not None and trace.command_lanes is None and pre_exec(trace) == []


def test_a_trace_that_was_compressed_keeps_its_companion(tmp_path: Path) -> None:
    import gzip

    load_with(tmp_path, LAUNCH, COMMAND)
    packed = tmp_path / "trace.txt.gz"
    packed.write_bytes(gzip.compress((tmp_path / "trace.txt").read_bytes()))
    assert load_checked(packed).companion == COMMAND
