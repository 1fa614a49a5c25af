"""The tracefs file `trace` and `perf ftrace`, in their option variants."""

from __future__ import annotations

import lzma
import re
from pathlib import Path

import numpy as np
import pytest

from kfgraph.model.calls import Flag
from reference.cases import FIXTURES, load_checked, read, rows, unpack

CALLS = sorted(path.name for path in FIXTURES.glob("*-ftrace-*") if "function-tracer" not in path.name)
PROC = ("proc", "nocpu")


def counted(text: str) -> tuple[int, int, int]:
    """(entries and leaves, exits, comments) by what stands right of the last double-spaced bar."""
    bodies = [line.split("|  ", 1)[1] if "|  " in line else "" for line in text.splitlines() if line[:1] != "#"]
    bodies = [re.sub(r"^.*\|  (?= *[\w/}])", "", body).strip() for body in bodies]
    exits = sum(body.startswith("}") for body in bodies)
    comments = sum(body.startswith("/*") for body in bodies)
    return sum(bool(body) for body in bodies) - exits - comments, exits, comments


@pytest.mark.parametrize("name", CALLS)
def test_every_call_of_a_real_text_is_there(name: str) -> None:
    text = unpack(FIXTURES / name).decode()
    n_calls, n_exits, n_comments = counted(text)
    assert n_calls > 350 and n_exits > 100
    trace = load_checked(FIXTURES / name)
    calls = trace.calls
    no_entry, no_exit = calls.has(Flag.NO_ENTRY), calls.has(Flag.NO_EXIT)
    assert len(calls) - int(no_entry.sum()) == n_calls and len(trace.marks) == n_comments
    leaves = len(re.findall(r"\d us +\|  +[^}/\s]", text))
    assert int((~no_exit).sum()) == n_exits + leaves
    assert not [notice for notice in trace.notices if notice.code in ("unread-line", "cut-input")]
    assert trace.meta.reader == "ftrace"
    # Times where the option prints them, else none made up.
    assert bool((calls.start_ns >= 0).all()) == ("abstime" in name or "nocpu" in name)
    assert (calls.context[0] != 255) == ("latency" in name)
    with_values = any(option in name for option in ("-ftrace-retval", "args", "7.2-retval-ftrace-with-syscalls"))
    assert (calls.retval is not None) == with_values
    named = {task.pid for task in trace.tasks.tasks if task.pid >= 0}
    assert named or not any(option in name for option in PROC)
    if "6.1-" in name and named:
        assert 240 in named and trace.tasks[0].comm == "bash"


@pytest.mark.parametrize("name", sorted(path.name for path in FIXTURES.glob("*function-tracer*")))
def test_the_function_tracer_is_a_tree_without_durations(name: str) -> None:
    trace = load_checked(FIXTURES / name)
    n = sum(b" <-" in line for line in lzma.decompress((FIXTURES / name).read_bytes()).splitlines())
    calls = trace.calls
    assert len(calls) == n > 600 and (calls.duration_ns == -1).all()
    assert {one.code: one.n for one in trace.notices} == {"no-duration": n}
    assert trace.n_unprinted == trace.n_unfinished == n
    child = np.flatnonzero(calls.parent >= 0)
    assert len(child) > 500 and (calls.func[calls.parent[child]] == calls.caller[child]).all()
    assert set(calls.context.tolist()) == {0, 2} | ({1} & set(calls.context.tolist()))


@pytest.mark.parametrize("folder", ["text-6.1", "text-7.2-retval"])
def test_all_of_the_long_texts(folder: str, shared_traces: Path) -> None:
    paths = [path for path in sorted((shared_traces / folder).glob("*.xz")) if "function-tracer" not in path.name]
    assert len(paths) >= 9
    for path in paths:
        n_calls, _, n_comments = counted(unpack(path).decode())
        trace = load_checked(path)
        assert (len(trace.calls) - int(trace.calls.has(Flag.NO_ENTRY).sum()), len(trace.marks)) == (n_calls, n_comments)


def test_options_that_change_the_columns_do_not_change_the_calls() -> None:
    plain = read(
        "# tracer: function_graph\n 0)               |  f() {\n 0)   1.573 us    |    g();\n 0)   4.919 us    |  }\n"
    )
    full = read(
        "# tracer: function_graph\n"
        "   79.548479 |   0)    bash-240    |  d.h1. |               |  f() {\n"
        "   79.548481 |   0)    bash-240    |  d..1. |   1.573 us    |    g();\n"
        "   79.548483 |   0)    bash-240    |  d.... |   4.919 us    |  } /* f */\n"
    )
    assert rows(plain, "duration_ns", "self_ns", "cpu", "depth") == rows(full, "duration_ns", "self_ns", "cpu", "depth")
    assert rows(full, "start_ns", "context") == [("f", 79_548_479_000, 2), ("g", 79_548_481_000, 0)]
    assert [(t.pid, t.cpu) for t in plain.tasks.tasks] == [(-1, 0)]
    assert [(t.pid, t.comm) for t in full.tasks.tasks] == [(240, "bash")]
    assert (plain.calls.start_ns == -1).all() and plain.calls.has(Flag.START_UNKNOWN).all()


SWITCH = """# tracer: function_graph
 0)   1.000 us    |  before();
 1)   1.000 us    |  elsewhere();
 ------------------------------------------
 0)  bash-240    =>   cat-12
 ------------------------------------------

 0)               |  of_cat() {
 ------------------------------------------
 0)   cat-12     =>  <idle>-0
 ------------------------------------------

 0)   2.000 us    |  idle();
 ------------------------------------------
 1)   sh-7       =>   cat-12
 ------------------------------------------

 1)   9.000 us    |  }
"""


def test_a_switch_line_tells_who_runs_before_and_after_it() -> None:
    trace = read(SWITCH)
    lane = {(task.pid, task.comm, task.cpu): number for number, task in enumerate(trace.tasks.tasks)}
    assert set(lane) == {(240, "bash", -1), (7, "sh", -1), (12, "cat", -1), (0, "<idle>", 0)}
    found = {name: (lanes, exit_cpu) for name, lanes, exit_cpu in rows(trace, "lane", "exit_cpu")}
    assert found == {
        "before": (lane[240, "bash", -1], 0),
        "elsewhere": (lane[7, "sh", -1], 1),
        "of_cat": (lane[12, "cat", -1], 1),
        "idle": (lane[0, "<idle>", 0], 0),
    }
    assert trace.calls.has(Flag.MIGRATED).sum() == 1


def test_a_switch_line_that_says_nothing_is_counted() -> None:
    trace = read(" 0)   1.000 us    |  f();\n 0)  bash-240  =>  nobody\n")
    assert [notice.code for notice in trace.notices] == ["unread-line"]


def test_losses_and_interrupt_borders() -> None:
    trace = read(
        "# tracer: function_graph\n"
        " 0)   1.000 us    |  a();\n"
        "CPU:0 [LOST 1159 EVENTS]\n"
        " 0)   ==========> |\n"
        " 0)   2.000 us    |  b();\n"
        " 0)   <========== |\n"
        "CPU:0 [LOST EVENTS]\n"
        " 0)   3.000 us    |  c();\n"
    )
    assert rows(trace, "duration_ns") == [("a", 1_000), ("b", 2_000), ("c", 3_000)]
    assert trace.losses.n_lost.tolist() == [1159, -1] and not [n for n in trace.notices if n.code == "unread-line"]


def test_comments_of_events() -> None:
    trace = read(
        " 0)               |  f() {\n"
        " 0)               |  /* sys_write -> 0x2 */\n"
        " 0)               |    /* sys_openat(dfd: ffffff9c, filename: 7f(x)) */\n"
        " 0)               |  /* sched_switch: prev_comm=a prev_pid=1 ==> next_comm=b */\n"
        " 0)               |  /* hello */\n"
        " 0)   9.000 us    |  }\n"
    )
    marks = trace.marks
    assert [(marks.names[i], marks.text[k]) for k, i in enumerate(marks.name.tolist())] == [
        ("sys_exit_write", "0x2"),
        ("sys_enter_openat", "dfd: ffffff9c, filename: 7f(x)"),
        ("sched_switch", "prev_comm=a prev_pid=1 ==> next_comm=b"),
        ("comment", "hello"),
    ]
    assert marks.parent.tolist() == [0, 0, 0, 0]


def test_return_values_callers_and_arguments() -> None:
    trace = read(
        " 0)               |  f(regs=0xff, ret=2) { /* <-do_syscall_64+0x2e7/0x330 */\n"
        " 0)   2.254 us    |    g(); /* <-h+0x5c/0x80 [mod] ret=0x86 */\n"
        " 0)   2.254 us    |    i [mod](); /* ret=-22 */\n"
        " 0)   9.000 us    |  } /* f ret=0xff1100000347e000 */\n"
        " 0)   1.000 us    |  } /* k [mod] ret=7 */\n"
    )
    calls = trace.calls
    assert calls.retval is not None and calls.caller is not None and calls.args is not None
    found = dict(zip([name for name, *_ in rows(trace)], calls.retval.tolist(), strict=True))
    assert found == {"k [mod]": 7, "f": 0xFF1100000347E000 - 2**64, "g": 0x86, "i [mod]": -22}
    assert calls.caller_offset is not None
    callers = [trace.symbols.label(code) for code in calls.caller.tolist()]
    at = zip(callers, calls.caller_offset.tolist(), strict=True)
    assert sorted(at) == [("?", -1), ("?", -1), ("do_syscall_64", 0x2E7), ("h [mod]", 0x5C)]
    assert calls.args.text([name for name, *_ in rows(trace)].index("f")) == "regs=0xff, ret=2"


@pytest.mark.parametrize(
    ("told", "caller", "offset"),
    [
        ("h+0x5c/0x80", "h", 0x5C), ("h", "h", -1), ("h+5c/80", "h", -1), ("h+0xg/0x80", "h", -1),
        ("h+0x12345678/0x80", "h", -1), ("ffffffffc0b08014", "0xffffffffc0b08014", -1), ("0", "?", -1),
    ],
)  # fmt: skip
def test_how_far_in_the_caller_it_returns_to(told, caller, offset) -> None:
    trace = read(f" 0)   2.254 us    |  g(); /* <-{told} ret=0x86 */\n 0)   2.254 us    |  i(); /* <-k+0x2/0x3 */\n")
    trace.check()
    calls = trace.calls
    assert calls.caller is not None and calls.caller_offset is not None
    assert [trace.symbols.label(code) for code in calls.caller.tolist()] == [caller, "k"]
    assert calls.caller_offset.tolist() == [offset, 2]


@pytest.mark.parametrize("comm", ["a-b-1", "x y", "a|b-2", "[r]"])
def test_comms_hold_anything(comm: str) -> None:
    trace = read(f"   79.548479 |   0)  {comm}-240    |   1.573 us    |  f();\n")
    assert [(task.pid, task.comm) for task in trace.tasks.tasks] == [(240, comm)]
    assert rows(trace, "duration_ns", "start_ns") == [("f", 1_573, 79_548_479_000)]


def test_the_kernel_and_the_cpus_of_a_latency_header() -> None:
    trace = load_checked(FIXTURES / "6.1-ftrace-abstime-proc-latency.txt.xz")
    assert (trace.meta.kernel, trace.meta.n_cpus) == ("6.1.0-56-amd64", 1)


def test_what_waits_for_its_task_is_held_narrow_and_comes_back_whole() -> None:
    """A switch line after more calls than a batch holds names the task of all of them."""
    three = " 0)   1.000 us    |  f(); /* ret=0x123456789a */\n 1)          |  g() {\n 1) $ 3000000000 us |  }\n"
    text = f"# tracer: function_graph\n{three * 30_000} 0)  bash-240    =>   cat-12\n 0)   2.000 us    |  h();\n"
    trace = read(text)
    assert [(task.pid, task.comm, task.cpu) for task in trace.tasks.tasks] == [
        (240, "bash", -1), (-1, "", 1), (12, "cat", -1)
    ]  # fmt: skip
    counts = dict.fromkeys(("f", "g", "h"), 0)
    for name, lane, duration, retval in rows(trace, "lane", "duration_ns", "retval"):
        counts[name] += 1
        wanted = {"f": (0, 1_000, 0x123456789A), "g": (1, 3_000_000_000_000, 0), "h": (2, 2_000, 0)}[name]
        assert (lane, duration, retval) == wanted
    assert counts == {"f": 30_000, "g": 30_000, "h": 1}


@pytest.mark.parametrize("first", [0, 1, 40_000])
def test_a_column_that_comes_late_is_kept_from_there(first: int) -> None:
    """Return values, callers and arguments that no line has cost nothing; the first that has one brings them."""
    text = " 0)   1.000 us    |  f();\n" * first + " 0)   1.000 us    |  g(a=1); /* <-h+0x1/0x2 ret=0x7 */\n"
    calls = read(text + " 0)   1.000 us    |  f();\n").calls
    assert calls.retval is not None and calls.caller is not None and calls.args is not None
    assert np.flatnonzero(calls.retval).tolist() == [first] and calls.retval[first] == 7
    assert np.flatnonzero(calls.caller).tolist() == [first]
    assert calls.caller_offset is not None and np.flatnonzero(calls.caller_offset >= 0).tolist() == [first]
    assert np.flatnonzero(calls.has(Flag.HAS_RETVAL)).tolist() == [first]
    assert [calls.args.text(row) for row in (first, first + 1)] == ["a=1", None]
    none = read(" 0)   1.000 us    |  f();\n").calls
    assert (none.retval, none.caller, none.args) == (None, None, None)
