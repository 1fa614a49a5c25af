"""Each line shape of `trace-cmd report`, one by one."""

from __future__ import annotations

import pytest

from kfgraph.model.calls import Flag
from kfgraph.parse.records import NO_RETVAL
from reference.cases import FIXTURES, load_checked, read, rows

PREFIX = "              ls-347   [001]   432.933632: "
LATENCY = "          insmod-94    [000] d.h1.    65.413742: "


def leaf(name: str = "f", *, us: str = "1.500", depth: int = 0, prefix: str = PREFIX, tail: str = "") -> str:
    return f"{prefix}funcgraph_entry:        {us} us   |{'  ' * (depth + 1)}{name}();{tail}\n"


def test_a_leaf() -> None:
    trace = read("cpus=2\n" + leaf("mutex_unlock", us="25.989"))
    assert rows(trace, "duration_ns", "self_ns", "start_ns", "cpu", "exit_cpu", "depth", "context", "flags") == [
        ("mutex_unlock", 25_989, 25_989, 432_933_632_000, 1, 1, 0, 255, 0)
    ]
    assert [(task.pid, task.comm) for task in trace.tasks.tasks] == [(347, "ls")]
    assert trace.meta.n_cpus == 2 and trace.meta.reader == "report" and trace.notices == ()
    assert trace.calls.retval is None and trace.calls.caller is None and trace.calls.args is None


def test_entry_and_exit_nest() -> None:
    trace = read(
        f"{PREFIX}funcgraph_entry:                   |  outer() {{\n"
        + leaf("inner", us="2.000", depth=1)
        + "              ls-347   [000]   432.933640: funcgraph_exit:       + 10.000 us   |  }\n"
    )
    assert rows(trace, "level", "duration_ns", "self_ns", "cpu", "exit_cpu") == [
        ("outer", 0, 10_000, 8_000, 1, 0),
        ("inner", 1, 2_000, 2_000, 1, 1),
    ]
    assert trace.calls.flags.tolist() == [Flag.MIGRATED, 0]


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("        0.000 us   ", 0),
        ("        1.482 us   ", 1_482),
        ("      + 17.222 us  ", 17_222),
        ("      ! 912.008 us ", 912_008),
        ("      # 1971.723 us ", 1_971_723),
        ("      * 17385.59 us ", 17_385_590),
        ("      @ 123456.7 us ", 123_456_700),
        ("      $ 1234567 us ", 1_234_567_000),
        ("      $ 9876543210 us ", 9_876_543_210_000),
        ("        5 us       ", 5_000),
    ],
)
def test_durations(text: str, ns: int) -> None:
    trace = read(f"{PREFIX}funcgraph_entry:{text}|  f();\n")
    assert trace.calls.duration_ns.tolist() == [ns]
    digits = text.split(".")[1].split()[0] if "." in text else ""
    assert trace.meta.details["n_coarse_durations"] == (len(digits) < 3)


@pytest.mark.parametrize(
    ("column", "context"),
    [(".....", 0), ("d.s2.", 1), ("d.h1.", 2), ("d.H1.", 2), ("dNh3.", 2), ("d.Z1.", 3), ("d.z..", 3), ("...11", 0),
     ("d.?1.", 255)],
)  # fmt: skip
def test_context_comes_from_the_latency_column(column: str, context: int) -> None:
    prefix = f"          insmod-94    [000] {column}    65.413742: "
    assert rows(read(leaf(prefix=prefix)), "context", "start_ns") == [("f", context, 65_413_742_000)]


def test_the_latency_format_of_older_versions() -> None:
    trace = read("      ls-347     1d.h1.   432.933632: funcgraph_entry:        1.500 us   |  f();\n")
    assert rows(trace, "cpu", "context", "duration_ns") == [("f", 1, 2, 1_500)]
    assert trace.tasks[0].comm == "ls"


def test_nanosecond_timestamps() -> None:
    prefix = "              ls-347   [001]   432.933631828: "
    assert rows(read(leaf(prefix=prefix)), "start_ns") == [("f", 432_933_631_828)]


@pytest.mark.parametrize(
    "prefix", ["            true-342   [000]981103560806: ", "            true-342   [000] d..1.981103560806: "]
)
def test_ticks_are_no_times(prefix: str) -> None:
    trace = read(leaf(us="3.366", prefix=prefix))
    assert trace.meta.clock_unit == "ticks" and trace.meta.first_ns == -1
    assert rows(trace, "start_ns", "duration_ns", "flags") == [("f", -1, 3_366, Flag.START_UNKNOWN)]


@pytest.mark.parametrize(
    "comm", ["a b", "a-b-1", "kworker/0:1", "[red]-3", "x [001] 1.2: f", "-5 [000]", "(sd-pam)", "a|b"]
)
def test_comms_hold_anything(comm: str) -> None:
    prefix = f"{comm:>16}-347   [001]   432.933632: "
    trace = read(leaf(prefix=prefix))
    assert [(task.pid, task.comm) for task in trace.tasks.tasks] == [(347, comm)]
    assert rows(trace, "cpu", "duration_ns") == [("f", 1, 1_500)]


def test_a_comm_that_is_not_utf8_stays_readable() -> None:
    data = leaf(prefix=f"{'x':>16}-347   [001]   432.933632: ").encode().replace(b"x", b"\xff", 1)
    assert [task.comm for task in read(data).tasks.tasks] == ["\\xff"]


def test_an_unknown_comm_is_empty_and_idle_has_a_lane_for_each_cpu() -> None:
    text = "".join(leaf(prefix=f"{comm:>16}-{pid}   [{cpu:03d}]     1.000000: ") for comm, pid, cpu in
                   (("<...>", 5, 0), ("<idle>", 0, 0), ("<idle>", 0, 1)))  # fmt: skip
    assert [(t.pid, t.comm, t.cpu) for t in read(text).tasks.tasks] == [
        (5, "", -1), (0, "<idle>", 0), (0, "<idle>", 1)
    ]  # fmt: skip


def test_a_line_that_lost_its_padding() -> None:
    trace = read("ls-347 [001] 432.933632: funcgraph_entry: 1.500 us | f();\n")
    assert [(task.pid, task.comm) for task in trace.tasks.tasks] == [(347, "ls")]
    assert rows(trace, "duration_ns") == [("f", 1_500)]


def test_arguments() -> None:
    text = (
        f"{LATENCY}funcgraph_entry:                   |  outer(lock=0xff, s=(STRUCT)[0x8], n=3) {{\n"
        f"{LATENCY}funcgraph_entry:        1.000 us   |    inner();\n"
        f"{LATENCY}funcgraph_entry:        1.000 us   |    third(7fff, 0);\n"
        f"{LATENCY}funcgraph_exit:         9.000 us   |  }}\n"
    )
    trace = read(text)
    args = trace.calls.args
    assert args is not None
    assert [args.text(row) for row in range(3)] == ["lock=0xff, s=(STRUCT)[0x8], n=3", None, "7fff, 0"]
    assert [name for name, *_ in rows(trace)] == ["outer", "inner", "third"]


def test_return_values_and_callers() -> None:
    text = (
        f"{LATENCY}fgraph_retaddr_entry:              |  outer(a=1) /* <-ksys_write */ {{\n"
        f"{LATENCY}fgraph_retaddr_entry:   1.984 us   |    leaf(b=2); /* <-outer */ (ret=0xff110000025c0000)\n"
        f"{LATENCY}fgraph_retaddr_entry:   1.984 us   |    minus(); /* <-outer */ (ret=-19)\n"
        f"{LATENCY}funcgraph_exit:         8.316 us   |  }} (ret=0x1f)\n"
        f"{LATENCY}fgraph_retaddr_entry:              |  unfinished() {{\n"
    )
    trace = read(text)
    calls = trace.calls
    assert calls.retval is not None and calls.caller is not None and calls.args is not None
    assert calls.retval.tolist() == [0x1F, 0xFF110000025C0000 - 2**64, -19, 0]
    assert calls.has(Flag.HAS_RETVAL).tolist() == [True, True, True, False]
    assert [trace.symbols.label(code) for code in calls.caller.tolist()] == ["ksys_write", "outer", "outer", "?"]
    assert [calls.args.text(row) for row in range(4)] == ["a=1", "b=2", None, None]


def test_a_call_without_a_printed_value_has_none_even_beside_some_that_have() -> None:
    calls = read(leaf("a", tail=" (ret=0x1)") + leaf("b")).calls
    assert calls.retval is not None and calls.retval.tolist() == [1, 0] and NO_RETVAL not in calls.retval.tolist()
    assert calls.has(Flag.HAS_RETVAL).tolist() == [True, False]


def test_depth_and_tail_names_from_plugin_options() -> None:
    trace = read(
        f"{PREFIX}funcgraph_entry:                   |  outer() {{ (4)\n"
        f"{PREFIX}funcgraph_exit:         8.316 us   |  }} (4)\n"
        f"{PREFIX}funcgraph_exit:         9.000 us   |  }} /* caller_of_it */\n"
    )
    assert rows(trace, "depth", "duration_ns") == [("caller_of_it", 0, 9_000), ("outer", 4, 8_316)]
    assert trace.calls.has(Flag.NO_ENTRY).tolist() == [True, False]
    assert trace.calls.has(Flag.DEPTH_JUMP).tolist() == [False, True]


TAILS = {
    "/* f(x=1) ret=-22 */": ("f", "x=1", -22),
    "/* f(x=1) = -22 */": ("f", "x=1", -22),
    "/* f(x=1) */ (ret=-22)": ("f", "x=1", -22),
    "/* f(a, b) */": ("f", "a, b", None),
    "/* f(s=(STRUCT)[0x8], n=3) <-g+0x1/0x2 ret=0x7 */": ("f", "s=(STRUCT)[0x8], n=3", 7),
    "/* f [m](x=1) ret=-22 */": ("f [m]", "x=1", -22),
    "/* f(x=1) [m] ret=-22 */": ("f [m]", "x=1", -22),
    "/* f() ret=-22 */": ("f", None, -22),
    "/* f() [m] */": ("f [m]", None, None),
    "(f(x=1))": ("f", "x=1", None),
    "(f())": ("f", None, None),
    # Nothing is taken from a remark that is not understood.
    "/* f(x=1)y */": ("?", None, None),
    "/* f(x=1 ret=-22 */": ("?", None, None),
    "/* f(x=1) g(y=2) */": ("?", None, None),
    "/* f) ret=-22 */": ("?", None, None),
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("prefix", [f"cpus=1\n{PREFIX}funcgraph_exit:  ", "# tracer: function_graph\n 0) "])
def test_arguments_behind_a_brace_are_no_part_of_the_name(prefix: str, tail: str) -> None:
    name, args, value = TAILS[tail]
    calls = (trace := read(f"{prefix}  5.000 us    |  }} {tail}\n")).calls
    assert [(row[0], row[1]) for row in rows(trace, "duration_ns")] == [(name, 5_000)]
    assert (None if calls.args is None else calls.args.text(0)) == args
    assert (None if calls.retval is None else calls.retval.tolist()) == (None if value is None else [value])


def test_arguments_of_the_entry_stay_those_of_the_call() -> None:
    trace = read(
        f"{PREFIX}funcgraph_entry:                   |  f(x=1) {{\n"
        f"{PREFIX}funcgraph_entry:                   |    g() {{\n"
        f"{PREFIX}funcgraph_exit:         2.000 us   |    }} /* g(y=2) */\n"
        f"{PREFIX}funcgraph_exit:         9.000 us   |  }} /* f(x=7) ret=-22 */\n"
    )
    assert trace.calls.args is not None
    assert [(name, trace.calls.args.text(row)) for row, (name, *_) in enumerate(rows(trace))] == [
        ("f", "x=1"), ("g", "y=2"),
    ]  # fmt: skip


def test_a_function_without_a_symbol() -> None:
    trace = read(
        f"{PREFIX}funcgraph_entry:                   |  ) {{\n"
        + leaf("ffffffffc0b08014", depth=1)
        + leaf("c0b08014", depth=1)
        + leaf("facade", depth=1)
        + f"{PREFIX}funcgraph_exit:        9.000 us    |  }}\n"
    )
    assert [name for name, *_ in rows(trace)] == ["?", "0xffffffffc0b08014", "0xc0b08014", "facade"]
    assert trace.calls.has(Flag.NAME_UNRESOLVED).tolist() == [True, True, True, False]
    assert trace.symbols.addresses[trace.calls.func[1:3]].tolist() == [0xFFFFFFFFC0B08014, 0xC0B08014]


def test_a_module_stands_apart_from_the_name() -> None:
    trace = read(leaf("nft_do_chain [nf_tables]"))
    code = int(trace.calls.func[0])
    assert (trace.symbols.names[code], trace.symbols.modules[code]) == ("nft_do_chain", "nf_tables")


def test_losses_with_and_without_a_count() -> None:
    text = (
        leaf("a") + "CPU:1 [1159 EVENTS DROPPED]\n" + leaf("b") + "CPU:1 [EVENTS DROPPED]\nCPU 0 is empty\n" + leaf("c")
    )
    trace = read(text)
    assert trace.losses.n_lost.tolist() == [1159, -1] and trace.losses.cpu.tolist() == [1, 1]
    assert trace.losses.row.tolist() == [1, 2] and trace.n_lost_counted == 1159


@pytest.mark.parametrize(
    ("said", "n_lost"),
    [
        (("12", "30"), 42), (("12", ""), -1), (("", "12"), -1), (("", ""), -1), (("1", "2", "3"), 6),
        (("5", "", "7"), -1),
    ],
)
def test_gaps_with_nothing_between_are_one_place(said: tuple[str, ...], n_lost: int) -> None:
    lines = "".join(f"CPU:1 [{n} EVENTS DROPPED]\n" if n else "CPU:1 [EVENTS DROPPED]\n" for n in said)
    trace = read(leaf("a") + lines + leaf("b") + "CPU:1 [100 EVENTS DROPPED]\n" + leaf("c"))
    assert trace.losses.n_lost.tolist() == [n_lost, 100]
    assert trace.n_lost_counted == max(n_lost, 0) + 100


def test_other_events_become_marks() -> None:
    trace = read(
        f"{PREFIX}funcgraph_entry:                   |  outer() {{\n"
        f'{PREFIX}sys_enter_openat:     dfd: 0xffffff9c, filename: 0x7f "/etc/passwd"\n'
        + leaf("inner", depth=1)
        + f"{PREFIX}sched_switch:         a:1 [120] S ==> b:2 [120]\n"
        f"{PREFIX}empty:\n"
    )
    marks = trace.marks
    assert [marks.names[i] for i in marks.name.tolist()] == ["sys_enter_openat", "sched_switch", "empty"]
    assert list(marks.text) == [
        'dfd: 0xffffff9c, filename: 0x7f "/etc/passwd"', "a:1 [120] S ==> b:2 [120]", ""
    ]  # fmt: skip
    assert marks.row.tolist() == [1, 2, 2] and marks.parent.tolist() == [0, 0, 0]


def test_the_text_of_an_event_may_hold_line_breaks() -> None:
    trace = read(leaf() + f"{PREFIX}sys_enter_write: buf=root:x\ndaemon:x\n\nbin:x\n" + leaf() + "no record\n")
    assert list(trace.marks.text) == ["buf=root:x\ndaemon:x\nbin:x"]
    assert [(notice.code, notice.n, notice.details) for notice in trace.notices] == [
        ("unread-line", 1, {"first": "no record"})
    ]


def test_print_formats_of_the_events_themselves() -> None:
    later = PREFIX.replace("933632", "933764")
    text = (
        f"{PREFIX}fgraph_retaddr_entry: --> outer (0) <- rb_simple_write\n"
        f"{PREFIX}fgraph_retaddr_entry: --> inner (1) <- outer\n"
        f"{later}funcgraph_exit:       ! 131.506 us |    }}\n"
        f"{later}funcgraph_exit:       <-- outer (0) (start: 64ccdae155  end: 64ccdb46da) over: 0 retval: ffffffed\n"
    )
    trace = read(text)
    assert rows(trace, "depth", "duration_ns") == [("outer", 0, 0x64CCDB46DA - 0x64CCDAE155), ("inner", 1, 131_506)]
    assert trace.calls.caller is not None and trace.calls.retval is not None
    assert [trace.symbols.label(code) for code in trace.calls.caller.tolist()] == ["rb_simple_write", "outer"]
    assert trace.calls.retval.tolist() == [0xFFFFFFED, 0]


def test_an_exit_without_its_entry() -> None:
    trace = read(f"{PREFIX}funcgraph_exit:       # 2864.013 us |      }}\n")
    assert rows(trace, "depth", "duration_ns", "self_ns", "start_ns") == [
        ("?", 2, 2_864_013, -1, 432_933_632_000 - 2_864_013)
    ]
    assert trace.calls.flags[0] & Flag.NO_ENTRY


def test_differences_between_timestamps_may_stand_there_too() -> None:
    assert rows(read(leaf(prefix=f"{PREFIX}(+75)    ")), "duration_ns") == [("f", 1_500)]


def test_windows_line_ends() -> None:
    trace = read(("cpus=1\n" + leaf() + f"{PREFIX}foo: bar\n").replace("\n", "\r\n"))
    assert rows(trace, "duration_ns") == [("f", 1_500)] and list(trace.marks.text) == ["bar"] and not trace.notices


@pytest.mark.parametrize(
    ("last", "is_kept"),
    [(leaf("b")[:-1], True), (leaf("b")[:-3], False), (leaf("b", tail=" (ret=0x12")[:-1], False), ("   ", True)],
)
def test_a_last_line_that_is_cut_is_left_out_and_said(last: str, is_kept: bool) -> None:
    trace = read(leaf("a") + last)
    assert len(trace.calls) == (2 if "b()" in last and is_kept else 1)
    assert [notice.code for notice in trace.notices] == ([] if is_kept else ["cut-input"])


@pytest.mark.parametrize(
    "line",
    [
        f"{PREFIX}funcgraph_entry:        1.500 us   |  f(",
        f"{PREFIX}funcgraph_entry:        1.500 us   |  f",
        f"{PREFIX}funcgraph_entry:        1.500 us",
        f"{PREFIX}funcgraph_entry:        1.500 ms   |  f();",
        f"{PREFIX}funcgraph_entry:",
        f"{PREFIX}funcgraph_exit: func=f depth=0 overrun=0 calltime=5 rettime=4",
        f"{PREFIX}funcgraph_exit: func=f depth=0 overrun=0",
        "              ls-99999999999   [001]   432.933632: funcgraph_entry:        1.500 us   |  f();",
        "              ls-347   [99999]   432.933632: funcgraph_entry:        1.500 us   |  f();",
        "              ls-347   [001]   99999999999.933632: funcgraph_entry:        1.500 us   |  f();",
        "              ls-347   [001]   1234567890123456789012: funcgraph_entry:        1.500 us   |  f();",
        f"{PREFIX}funcgraph_entry:    99999999999999999 us   |  f();",
        "CPU:99999 [3 EVENTS DROPPED]",
        "\x00\x01\x02",
    ],
)
def test_a_line_that_means_nothing_is_counted_and_left_out(line: str) -> None:
    trace = read(leaf("a") + line + "\n" + leaf("b"))
    assert [name for name, *_ in rows(trace)] == ["a", "b"]
    assert [(notice.code, notice.n) for notice in trace.notices] == [("unread-line", 1)]


def test_a_report_of_the_function_tracer_is_a_tree_without_durations() -> None:
    lines = [("outer", "do_syscall_64"), ("  inner [m]", "outer"), ("outer", "do_syscall_64")]
    trace = read("cpus=1\n" + "".join(f"{PREFIX}function:             {f} <-- {c}\n" for f, c in lines))
    assert [name for name, *_ in rows(trace)] == ["outer", "inner [m]", "outer"]
    assert trace.calls.parent.tolist() == [-1, 0, -1]
    assert (trace.calls.duration_ns == -1).all() and trace.meta.reader == "report"


def test_the_raw_form() -> None:
    text = (
        "cpus=2\n"
        "      sh-263     0-0x0    66.351228267: funcgraph_entry:       func=outer depth=0\n"
        "      sh-263     0-0x8    66.351230542: funcgraph_entry:       func=0xffffffffc0a9d0c6 depth=12\n"
        "      sh-263     0-0x50   66.351232044: funcgraph_exit:        func=0xffffffffc0a9d0c6 depth=12 overrun=0"
        " calltime=f7b5b0c94 rettime=f7b5b125e\n"
        "      sh-263     0-0x0    66.351238426: sys_exit_write:        __syscall_nr=1 ret=0x1\n"
        "      sh-263     1-0x34   66.351233417: funcgraph_exit:        func=outer retval=ffffffed depth=0 overrun=0"
        " calltime=0xf7b5b0162 rettime=0xf7b5b1865\n"
        "      sh-263     1-0x34   66.351233417: fgraph_retaddr_entry:  func=last depth=0 retaddr=do_x args=ARRAY[]\n"
    )
    trace = read(text)
    assert rows(trace, "depth", "context", "duration_ns", "start_ns") == [
        ("outer", 0, 0, 0xF7B5B1865 - 0xF7B5B0162, 66_351_228_267),
        ("0xffffffffc0a9d0c6", 12, 2, 0xF7B5B125E - 0xF7B5B0C94, 66_351_230_542),
        ("last", 0, 1, -1, 66_351_233_417),
    ]
    assert trace.calls.retval is not None and trace.calls.retval.tolist() == [0xFFFFFFED, 0, 0]
    assert trace.calls.caller is not None and trace.symbols.label(int(trace.calls.caller[2])) == "do_x"
    assert list(trace.marks.text) == ["__syscall_nr=1 ret=0x1"]


def test_real_raw_text_equals_the_pretty_text_of_the_same_records() -> None:
    raw = load_checked(FIXTURES / "6.1-raw-pipe-syscalls.txt.xz")
    pretty = load_checked(FIXTURES / "6.1-report-pipe-syscalls.txt.xz")
    n = 500
    assert rows(raw, "depth", "duration_ns")[:n] == rows(pretty, "depth", "duration_ns")[:n]
    starts = raw.calls.start_ns[:n] - pretty.calls.start_ns[:n]
    assert int(abs(starts).max()) <= 500, "the pretty form rounds to microseconds"
    assert set(raw.calls.context.tolist()) == {0, 1, 2} and set(pretty.calls.context.tolist()) == {255}


def test_real_raw_ticks_are_told_from_the_flags_glued_to_them() -> None:
    raw = load_checked(FIXTURES / "6.12-raw-true-tsc.txt.xz")
    pretty = load_checked(FIXTURES / "6.12-report-true-tsc.txt.xz")
    n = 130  # both end in the middle of calls
    assert raw.meta.clock_unit == pretty.meta.clock_unit == "ticks"
    assert rows(raw, "depth", "duration_ns", "start_ns")[:n] == rows(pretty, "depth", "duration_ns", "start_ns")[:n]
    contexts = dict(rows(raw, "context"))
    assert [contexts[name] for name in ("mutex_unlock", "hrtimer_interrupt", "run_timer_softirq")] == [0, 2, 1]


def test_real_text_in_every_shape_tells_the_same_calls() -> None:
    by_arrows = load_checked(FIXTURES / "7.2-report-3.1.6-args-retaddr.txt.xz")
    raw = load_checked(FIXTURES / "7.2-raw-args-retaddr.txt.xz")
    n = 150
    assert rows(by_arrows, "depth", "duration_ns")[:n] == rows(raw, "depth", "duration_ns")[:n]
    assert by_arrows.calls.caller is not None and raw.calls.caller is not None
    callers = [[trace.symbols.label(c) for c in trace.calls.caller[:n].tolist()] for trace in (by_arrows, raw)]
    assert callers[0] == callers[1] and "ksys_write" in callers[0]
    exits = load_checked(FIXTURES / "6.12-report-N-thresh.txt.xz")
    pretty = load_checked(FIXTURES / "6.12-report-thresh.txt.xz")
    assert len(exits.calls) == 99 and exits.calls.has(Flag.NO_ENTRY).all()
    assert sorted(exits.calls.duration_ns.tolist())[:5] == sorted(pretty.calls.duration_ns[:99].tolist())[:5]
    latency = load_checked(FIXTURES / "6.12-report-l-insmod.txt.xz")
    assert len(latency.calls) == 446 and set(latency.calls.context.tolist()) == {0, 1, 2}
