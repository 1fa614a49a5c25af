"""What kernels print under function_graph, version by version and option by option: each value asserted.

Names, tasks and numbers are made up; the forms are those of kernel/trace/trace_functions_graph.c.
"""

from __future__ import annotations

import time

import pytest

from kfgraph.analyze.select import select
from kfgraph.errors import InputError, KfgraphError
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from reference.cases import read, rows


def retvals(trace: Trace) -> list[tuple[str, int | None]]:
    """(function, value or None) in table order."""
    assert trace.calls.retval is not None
    has = trace.calls.has(Flag.HAS_RETVAL).tolist()
    return [(name, value if told else None) for told, (name, value) in zip(has, rows(trace, "retval"), strict=True)]


def notices(trace: Trace) -> dict[str, int]:
    return {notice.code: notice.n for notice in trace.notices}


# ---- return values


def test_return_values_of_6_5_to_6_12() -> None:
    trace = read(
        " 2)               |  demo_probe() {\n"
        " 2)   0.700 us    |    demo_alloc(); /* = 0xffff888101234000 */\n"
        " 2)               |    demo_setup [demo]() {\n"
        " 2)   0.300 us    |      demo_clk_get(); /* = -517 */\n"
        " 2)   0.300 us    |      demo_zero(); /* = 0x0 */\n"
        " 2)   1.900 us    |    } /* demo_setup [demo] = -517 */\n"
        " 2)   4.100 us    |  } /* demo_probe = 0xfffffdfb */\n"
        " 2)   1.000 us    |  } /* demo_lost [demo] = -22 */\n"
    )
    assert retvals(trace) == [
        ("demo_probe", 0xFFFFFDFB),
        ("demo_alloc", 0xFFFF888101234000 - 2**64),
        ("demo_setup [demo]", -517),
        ("demo_clk_get", -517),
        ("demo_zero", 0),
        ("demo_lost [demo]", -22),
    ]
    assert rows(trace, "duration_ns", "level")[-1] == ("demo_lost [demo]", 1_000, 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ret=true", 1), ("ret=false", 0), ("ret=0x69380649(trunc)", 0x69380649), ("ret=-5(trunc)", -5), ("ret=17", 17),
        ("ret=0xffffffffffffffea", -22), ("<-caller+0x1/0x2 ret=true", 1), ("= -517", -517), ("= 0x1f", 31), ("= 7", 7),
        ("<-caller+0x1/0x2 [mod] ret=0x2", 2), ("= true", 1), ("ret=", None), ("=", None), ("= nonsense", None),
    ],
)  # fmt: skip
def test_a_value_in_each_form(text: str, value: int | None) -> None:
    trace = read(
        " 0)   9.000 us    |  known(); /* ret=0x3 */\n"
        " 0)               |  f() {\n"
        f" 0)   1.000 us    |    g(); /* {text} */\n"
        f" 0)   9.000 us    |  }} /* f {text.replace('<-caller+0x1/0x2 ', '').replace('[mod] ', '')} */\n"
    )
    assert retvals(trace) == [("known", 3), ("f", value), ("g", value)]


@pytest.mark.parametrize(
    "text",
    [
        "ret=12abc", "ret=true1", "ret=0xffffffeb..", "= 5 x", "= -19,", "comment: ret=-3 of other", "ret=-3 ret=-4",
        "ret=-3 <- f", "[mod] ret=1",
    ],
)  # fmt: skip
def test_nothing_is_taken_from_a_comment_that_is_not_understood(text: str) -> None:
    trace = read(
        " 0)   9.000 us    |  known(); /* ret=0x3 */\n"
        f" 0)   1.000 us    |  g(); /* {text} */\n"
        " 0)   1.000 us    |  h(); /* ret=-3\n"
    )
    assert retvals(trace) == [("known", 3), ("g", None), ("h", None)]


@pytest.mark.parametrize(
    "line",
    [
        "  demo_y(); usb 1-1: probe failed (ret=-19)",
        "  demo_y(); 0)   0.250 us    |    demo_copy();",
        "  demo_y();[   12.345681]  0)   0.250 us    |    demo_copy();",
        "  demo_y(); (ret=-12",
        "  demo_y(); (ret=-12x)",
        "  demo_y(); (?ret=-5)",
        "  demo_y(); /?* ret=-22 */",
        "  demo_y() { {",
        "  demo_y(); demo_z();",
        "  } usb 1-1: error -71 (foo)",
        "  } garbage (7) (foo)",
        "  } (foo) (bar)",
        "  } }",
        "  } ()",
        "  -5();",
        "  |demo_open();",
    ],
)
def test_a_line_on_which_another_text_stands_is_no_record(line: str) -> None:
    """Two lines that ran together: what the second says is not the first one's."""
    whole = [f" 0)   0.500 us    |  f{i}();\n" for i in range(4)]
    trace = read("".join([*whole, f" 0)   0.700 us    |{line}\n", *whole]))
    assert rows(trace, "duration_ns", "level") == [(f"f{i}", 500, 0) for i in range(4)] * 2
    assert trace.calls.retval is None and notices(trace) == {"unread-line": 1}
    assert trace.calls.depth.tolist() == [0] * 8


@pytest.mark.parametrize("name", ["0", "(null)"])
def test_an_address_that_was_not_recorded_is_no_name(name: str) -> None:
    trace = read(f" 0)   0.500 us    |  f();\n 0)   0.700 us    |  {name}();\n")
    assert rows(trace, "duration_ns") == [("f", 500), ("?", 700)] and not notices(trace)


@pytest.mark.parametrize("mark", ["$", " |", '"', "\\n", '\\n"'])
def test_marks_at_the_ends_of_all_lines_are_taken_off(mark: str) -> None:
    """``cat -A``, a table, a string of a program."""
    lines = (
        "# tracer: function_graph",
        " 0)               |  f() {",
        " 0)   0.500 us    |    g();",
        " 0)   9.000 us    |  }",
        " 0)    cat-12      =>    bash-240",
        " 0)   0.250 us    |  h();",
    )
    trace = read("".join(f"{line}{mark}\n" for line in lines))
    assert rows(trace, "duration_ns", "self_ns") == [("f", 9_000, 8_500), ("g", 500, 500), ("h", 250, 250)]
    assert sorted(task.pid for task in trace.tasks.tasks) == [12, 240]
    assert notices(trace) == {"text-form": 1}


@pytest.mark.parametrize("text", ["(ret=true)", "(ret=0x1)", "(ret=0x1(trunc))", "(ret=1)", "/* f */ (ret=0x1)"])
def test_a_value_of_trace_cmd_in_each_form(text: str) -> None:
    prefix = "              ls-347   [001]   432.933632: "
    trace = read(
        f"{prefix}funcgraph_entry:                   |  f() {{\n"
        f"{prefix}funcgraph_exit:         9.000 us   |  }} {text}\n"
        f"{prefix}funcgraph_entry:        1.000 us   |  g(); {text.replace('/* f */ ', '')}\n"
    )
    assert retvals(trace) == [("f", 1), ("g", 1)] and not notices(trace)


@pytest.mark.parametrize("tail", ["} (f)", "} /* f */", "} /* f() */", "} (f) ", "} /* f */ (3)"])
def test_the_name_at_an_exit_in_each_form(tail: str) -> None:
    trace = read(f" 0)   9.000 us    |    {tail}\n")
    assert [name for name, *_ in rows(trace)] == ["f"]
    assert trace.calls.depth.tolist() == [3 if "(3)" in tail else 1]


def test_a_module_behind_the_name_of_2_6_34() -> None:
    assert [name for name, *_ in rows(read(" 0)   9.000 us    |  } (f [mod])\n"))] == ["f [mod]"]


def test_a_return_address_of_zero_is_no_caller() -> None:
    trace = read(" 0)   9.000 us    |  f(); /* <-0 ret=0x1 */\n 0)   9.000 us    |  g(); /* <-h+0x1/0x2 */\n")
    assert trace.calls.caller is not None
    assert [trace.symbols.label(code) for code in trace.calls.caller.tolist()] == ["?", "h"]


# ---- columns left out, and columns of latency tracers

TREE = [("vfs_foo", 0), ("foo_lock", 1), ("foo_spin", 2), ("foo_work", 1)]
BODIES = ["vfs_foo() {", "  foo_lock() {", "    foo_spin();", "  }", "  foo_work(); /* ret=0x1 */", "}"]
COLUMNS = {
    "CPU": " 1) ",
    "time": "   49.546294 |  ",
    "time and CPU": "   49.546294 |   1) ",
    "CPU and task": " 1)    bash-240    | ",
    "task": "    bash-240    | ",
    "all": "   49.546294 |   1)    bash-240    |  d.h1. | ",
    "nothing": "",
}


@pytest.mark.parametrize("is_headed", [True, False])
@pytest.mark.parametrize("columns", COLUMNS)
def test_without_durations_the_tree_stays_and_no_duration_is_known(columns: str, is_headed: bool) -> None:
    words = {"CPU": " CPU", "time": "     TIME       ", "task": "  TASK/PID       "}
    named = "".join(word for name, word in words.items() if name in columns or columns == "all")
    header = f"# tracer: function_graph\n#\n#{named}               FUNCTION CALLS\n" if is_headed else ""
    prefix = COLUMNS[columns]
    trace = read(header + "".join(f"{prefix}{body}\n" for body in BODIES))
    assert rows(trace, "level") == TREE and trace.calls.depth.tolist() == [0, 1, 2, 1]
    assert set(trace.calls.duration_ns.tolist()) == {-1} and set(trace.calls.self_ns.tolist()) == {-1}
    assert retvals(trace) == [("vfs_foo", None), ("foo_lock", None), ("foo_spin", None), ("foo_work", 1)]
    has_cpu, has_task = "CPU" in columns or columns == "all", "task" in columns or columns == "all"
    assert set(trace.calls.cpu.tolist()) == {1 if has_cpu else -1}
    assert [(task.pid, task.comm) for task in trace.tasks.tasks] == [(240, "bash") if has_task else (-1, "")]
    assert (trace.calls.start_ns == (49_546_294_000 if "time" in columns or columns == "all" else -1)).all()
    assert set(trace.calls.context.tolist()) == {2 if columns == "all" else 255}
    assert notices(trace) == {"no-duration": 4}


def test_code_is_no_trace_without_columns() -> None:
    for code in ("int main(void) {\n  foo();\n}\n", "#include <a.h>\nstatic void f() {\n  g();\n}\n"):
        with pytest.raises(InputError):
            read(code)


@pytest.mark.parametrize("mark", ["  ", "+ ", "! ", "# ", "* ", "@ ", "$ "])
def test_no_column_but_the_duration(mark: str) -> None:
    trace = read(f"# tracer: function_graph\n{mark}  1028.225 us |  f();\n{mark}1028.225 us |  g();\n   5 us |  h();\n")
    assert rows(trace, "duration_ns", "start_ns", "cpu") == [
        ("f", 1_028_225, -1, -1), ("g", 1_028_225, -1, -1), ("h", 5_000, -1, -1)
    ]  # fmt: skip
    assert not notices(trace)


IRQSOFF_HEADER = (
    "# tracer: {tracer}\n#\n# {tracer} latency trace v1.1.5 on 6.1.0\n"
    "# latency: 2747 us, #4/4, CPU#0 | (M:preempt VP:0, KP:0, SP:0 HP:0 #P:4)\n#    -----------------\n"
    "#    | task: sh-901 (uid:0 nice:0 policy:0 rt_prio:0)\n#    -----------------\n"
    "#  => started at: demo_lock\n#  => ended at:   demo_end\n#\n#\n"
)
IRQSOFF_COLUMNS = (
    "#   REL TIME      CPU  TASK/PID       ||||     DURATION                  FUNCTION CALLS\n"
    "#      |          |     |    |        ||||      |   |                     |   |   |   |\n"
)
IRQSOFF = (
    "        0 us |   0)   sh-901      |  d... |   0.200 us    |  demo_lock();\n"
    "        3 us |   0)   sh-901      |  d..1 |               |  demo_irq_window() {\n"
    "        4 us |   0)   sh-901      |  d.h1 |   1.500 us    |    demo_poll();\n"
    "     2750 us |   0)   sh-901      |  d..1 | # 2747.100 us |  }\n"
)
TRACERS = ["irqsoff", "preemptoff", "preemptirqsoff", "wakeup", "wakeup_rt", "wakeup_dl"]


@pytest.mark.parametrize("header", [*TRACERS, "columns", ""])
def test_latency_tracers_with_display_graph(header: str) -> None:
    head = IRQSOFF_HEADER.format(tracer=header) + IRQSOFF_COLUMNS if header in TRACERS else ""
    trace = read((IRQSOFF_COLUMNS if header == "columns" else head) + IRQSOFF)
    assert rows(trace, "start_ns", "duration_ns", "self_ns", "level", "cpu", "context") == [
        ("demo_lock", 0, 200, 200, 0, 0, 0),
        ("demo_irq_window", 3_000, 2_747_100, 2_745_600, 0, 0, 0),
        ("demo_poll", 4_000, 1_500, 1_500, 1, 0, 2),
    ]
    assert [(task.pid, task.comm) for task in trace.tasks.tasks] == [(901, "sh")]
    assert not notices(trace) and (trace.meta.n_cpus, trace.meta.kernel) == ((4, "6.1.0") if head else (-1, ""))


def test_relative_time_without_a_cpu_column() -> None:
    head = IRQSOFF_COLUMNS.replace("      CPU  TASK", "      TASK")
    trace = read(head + IRQSOFF.replace("   0)", ""))
    assert rows(trace, "start_ns", "duration_ns", "cpu") == [
        ("demo_lock", 0, 200, -1), ("demo_irq_window", 3_000, 2_747_100, -1), ("demo_poll", 4_000, 1_500, -1)
    ]  # fmt: skip


def test_a_relative_time_before_the_beginning_is_unknown() -> None:
    trace = read(IRQSOFF.replace("        0 us", "18446744073709 us").replace("18446744073709", "18446744073709542"))
    assert trace.calls.start_ns.tolist() == [-1, 3_000, 4_000]
    assert trace.calls.duration_ns.tolist() == [200, 2_747_100, 1_500]


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_latency_tracer_without_display_graph_is_refused_by_name(tracer: str) -> None:
    text = IRQSOFF_HEADER.format(tracer=tracer) + "  <idle>-0       0d...1..    1us : smp_apic <-apic_timer_interrupt\n"
    with pytest.raises(InputError, match=f"a trace of the {tracer} tracer") as problem:
        read(text)
    assert "display-graph" in problem.value.hint


# ---- latency letters

RT_LETTERS = (
    "#                                       _--------=> irqs-off\n"
    "#                                      / _-------=> need-resched\n"
    "#                                     | / _------=> need-resched_lazy\n"
    "#                                     || / _-----=> hardirq/softirq\n"
    "#                                     ||| / _----=> preempt-depth\n"
    "#                                     |||| / _---=> preempt-lazy-depth\n"
    "#                                     ||||| / _-=> migrate-disable\n"
)
RT = (
    "#     TIME        CPU  TASK/PID       |||||||     DURATION                  FUNCTION CALLS\n"
    "#      |          |     |    |        |||||||      |   |                     |   |   |   |\n"
    "  200.000010 |   1)    cat-77     |  ....... |               |  demo_read() {\n"
    "  200.000012 |   1)    cat-77     |  d..h1.. |               |    demo_timer_irq() {\n"
    "  200.000014 |   1)    cat-77     |  d.Lh1.. |   2.000 us    |      demo_tick();\n"
    "  200.000020 |   1)    cat-77     |  d..h1.. |   7.000 us    |    }\n"
    "  200.000022 |   1)    cat-77     |  ..s.1.. |   1.000 us    |    demo_copy();\n"
    "  200.000030 |   1)    cat-77     |  ....... | + 20.000 us   |  }\n"
)


def test_the_header_says_which_letter_is_the_context() -> None:
    trace = read("# tracer: function_graph\n#\n" + RT_LETTERS + RT)
    assert rows(trace, "context", "level") == [
        ("demo_read", 0, 0), ("demo_timer_irq", 2, 1), ("demo_tick", 2, 2), ("demo_copy", 0, 1)
    ]  # fmt: skip
    selection = select(trace, no_irq=True)
    assert [name for name, kept in zip([n for n, *_ in rows(trace)], selection.keep.tolist(), strict=True) if kept] == [
        "demo_read", "demo_copy"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "letters",
    ["", "".join(RT_LETTERS.splitlines(keepends=True)[i] for i in (0, 1, 3, 4))],
    ids=["no header", "a header of four letters"],
)
def test_letters_that_no_header_explains_tell_no_context(letters: str) -> None:
    trace = read("# tracer: function_graph\n#\n" + letters + RT)
    assert set(trace.calls.context.tolist()) == {255}
    with pytest.raises(KfgraphError, match="does not tell which calls ran in an interrupt") as problem:
        select(trace, no_irq=True)
    assert "trace.dat" in problem.value.hint


def test_a_second_header_replaces_the_first() -> None:
    four = "".join(RT_LETTERS.splitlines(keepends=True)[i] for i in (0, 1, 3, 4))
    short = RT.replace("d.Lh1..", "d..h1..").replace(".. |", " |").replace("d..h1", "d.h1.").replace("..s.1", "..s1.")
    trace = read("# tracer: function_graph\n" + RT_LETTERS + RT + "# tracer: function_graph\n" + four + short)
    assert trace.calls.context.tolist() == [0, 2, 2, 0, 0, 2, 2, 1]


@pytest.mark.parametrize(
    ("column", "context"),
    [("d..h1..", 2), ("d.h.1..", 2), (".......", 0), ("dNLs1..", 1), ("d.L.1..", 0), ("...11.", 0), ("dl.h1", 0),
     ("db.z...", 3), ("......1", 0), ("d.L?1..", 255), ("dLh1.", 2), ("dBH2.", 2)],
)  # fmt: skip
def test_letters_of_a_report(column: str, context: int) -> None:
    line = f"          insmod-94    [000] {column}    65.413742: funcgraph_entry:        1.500 us   |  f();\n"
    assert rows(read(line), "context", "start_ns") == [("f", context, 65_413_742_000)]


# ---- records that are not understood, and the texts of events


def test_a_record_that_is_not_understood_is_not_the_text_of_the_event_before_it() -> None:
    trace = read(
        " 0)    cat-5    |               |  demo_a() {\n"
        " 0)    cat-5    |               |    /* sched_waking: comm=x pid=9 */\n"
        " 0)    cat-5    |   1.000 us    |    demo_lost_one()\n"
        " 0)    cat-5    |   2.000 us    |    demo_kept();\n"
        " 0)    cat-5    |   9.000 us    |  }\n"
    )
    assert rows(trace, "duration_ns", "level") == [("demo_a", 9_000, 0), ("demo_kept", 2_000, 1)]
    assert list(trace.marks.text) == ["comm=x pid=9"]
    (left,) = [notice for notice in trace.notices if notice.code == "unread-line"]
    assert left.n == 1 and left.details["first_like_a_record"].endswith("demo_lost_one()")


@pytest.mark.parametrize(
    "line",
    [
        "              ls-347   [001]   432.933632: funcgraph_entry:        1.500 us   |  f()",
        "              ls-347   [001]   432.933632: funcgraph_exit:         1.500 ms   |  }",
        ">             ls-347   [001]   432.933632: funcgraph_entry:        1.500 us   |  f();",
        "              ls-99999999999   [001]   432.933632: funcgraph_entry:        1.500 us   |  f();",
        "              ls-347   [001]   432.933: nothing",
    ],
)
def test_nor_in_a_report(line: str) -> None:
    prefix = "              ls-347   [001]   432.933632: "
    event = f"{prefix}sys_enter_write: buf=one\ntwo\n"
    call = f"{prefix}funcgraph_entry:        1.500 us   |  a();\n"
    trace = read(f"{call * 3}{event}{line}\nno more of it\n{event}")
    assert list(trace.marks.text) == ["buf=one\ntwo", "buf=one\ntwo"] and len(trace.calls) == 3
    assert notices(trace) == {"unread-line": 2}


def test_the_text_of_an_event_goes_on_until_its_comment_is_closed() -> None:
    trace = read(
        " 0)               |  f() {\n"
        " 0)               |    /* print: one\n"
        "two\n"
        "three */\n"
        "four\n"
        " 0)               |    /* kernel_stack: \n"
        " => g\n"
        " => h */\n"
        " 0)   9.000 us    |  }\n"
    )
    assert list(trace.marks.text) == ["one\ntwo\nthree", "\n => g\n => h"]
    assert notices(trace) == {"unread-line": 1}


COMMENT = " 0)               |  /* print: one\n"
CALL = " 0)   9.000 us    |  f();\n"
FORGED = " 0)   1.000 us    |  forged();\n"


@pytest.mark.parametrize(
    "inside",
    [
        FORGED,
        FORGED * 98,
        "\n\n" + FORGED,
        " 0)   4.000 us    |  } /* forged */\n" + FORGED,
        " 0)               |  /* forged: x=1 */\n",
        " 0)               |  /* forged: x=1\n" + FORGED,
        "# tracer: function_graph\n#\n" + FORGED,
        "CPU:0 [LOST 12 EVENTS]\n" + FORGED,
        " 0)  cat-5  =>  dog-6\n",
    ],
)
def test_what_looks_like_a_record_inside_an_event_is_its_text(inside: str) -> None:
    for end in ("two */\n", " */\n", "two */  \r\n"):
        trace = read(CALL + COMMENT + inside + end + CALL)
        assert rows(trace) == [("f",), ("f",)] and not trace.notices
        assert len(trace.losses) == 0 and [task.pid for task in trace.tasks.tasks] == [-1]
        (said,) = trace.marks.text
        lines = [line for line in inside.split("\n") if line]
        assert said.split("\n")[: 1 + len(lines)] == ["one", *lines]
        assert trace.calls.self_ns.tolist() == [9_000, 9_000]


def test_an_event_whose_end_is_lost_swallows_no_calls() -> None:
    for below in (
        CALL * 3,
        " 0)               |  f() {\n 0)   4.000 us    |  } /* f */\n" + CALL * 2,
        CALL * 3 + " 0)               |  /* print: two */\n",
        CALL * 150 + "two */\n",
        (" 0)   9.000 us    |  " + "f" * 200 + "();\n") * 50 + "two */\n",
    ):
        n_calls = below.count("();") + below.count("{")
        trace = read(COMMENT + below)
        assert len(trace.calls) == n_calls
        assert trace.marks.text[0] == "one"
        counts = {notice.code: notice.n for notice in trace.notices}
        assert counts == ({"unread-line": 1} if "\ntwo */" in below else {})


def test_an_event_on_both_sides_of_what_is_read_at_once() -> None:
    """The text is read in pieces: a comment may be open at the end of one, and closed in the next."""
    from kfgraph.parse.scan_ftrace import FtraceScanner

    text = (CALL + COMMENT + FORGED + "two */\n" + CALL + COMMENT).encode()
    for cut in range(len(text)):
        scanner = FtraceScanner(lambda batch, n: None)
        rest = text[scanner.feed(text[:cut]) : cut] + text[cut:]
        assert scanner.feed(rest, last=True) == len(rest)
        facts = scanner.facts()
        assert facts["names"] == [b"", b"f"] and facts["n_calls"] == 2 and facts["n_lines"] == 6
        assert bytes(facts["mark_text"]) == b"one\n" + FORGED.encode() + b"twoone"


def test_lines_that_waited_for_an_end_are_read_at_the_end_of_the_text() -> None:
    trace = read(CALL + COMMENT + CALL + "hello\n")
    assert len(trace.calls) == 2 and list(trace.marks.text) == ["one"]
    assert {notice.code: notice.n for notice in trace.notices} == {"unread-line": 1}
    trace = read(CALL + COMMENT + CALL + "hello")
    assert len(trace.calls) == 2
    assert {notice.code: notice.n for notice in trace.notices} == {"cut-input": 1}
    assert list(read(CALL + COMMENT + CALL + "two */").marks.text) == ["one\n" + CALL + "two"]


@pytest.mark.parametrize("text", [COMMENT * 50_000, (COMMENT + "x */ y\n") * 25_000, COMMENT + FORGED * 50_000])
def test_many_open_comments_take_no_longer_than_other_lines(text: str) -> None:
    begin = time.process_time()
    trace = read(CALL + text)
    assert time.process_time() - begin < 8
    assert len(trace.marks) == text.count("/*")


def test_stack_traces_stand_beside_the_graph() -> None:
    trace = read(
        " 0)               |  f() {\n"
        "            bash-240     [000] .....   147.536649: <stack trace>\n"
        " => g\n"
        " => h\n"
        "            bash-240     [000] .....   147.536649: <user stack trace>\n"
        " =>  <00007f4c3d2a>\n"
        " 0)   9.000 us    |  }\n"
    )
    assert [trace.marks.names[i] for i in trace.marks.name.tolist()] == ["kernel_stack", "user_stack"]
    assert list(trace.marks.text) == ["<stack trace>\n => g\n => h", "<user stack trace>\n =>  <00007f4c3d2a>"]
    assert "unread-line" not in notices(trace)


def test_lines_like_records_are_shown_where_none_is_understood() -> None:
    with pytest.raises(InputError) as problem:
        read("# tracer: function_graph\n 0)   1.000 ms    |  f();\n 0)   2.000 ms    |  \x1b]0;x\x07g();\n")
    assert "no function_graph records" not in problem.value.message
    assert "2 lines like records of function_graph, none of them understood" in problem.value.message
    assert "0)   1.000 ms    |  f();" in problem.value.message and "\x1b" not in problem.value.message


def test_overruns_and_dump_frames_say_nothing() -> None:
    trace = read(
        "Dumping ftrace buffer:\n---------------------------------\n 0)   1.000 us    |  f();\n (Overruns: 0)\n"
        "---------------------------------\n"
    )
    assert rows(trace, "duration_ns") == [("f", 1_000)] and not notices(trace)


@pytest.mark.parametrize("comm", ["<idle>", "swapper/0", "swapper", "<...>"])
def test_idle_tasks_have_one_name(comm: str) -> None:
    prefix = f"{comm:>16}-0   [001]   432.933632: "
    trace = read(f"{prefix}funcgraph_entry:        1.500 us   |  a();\n")
    assert [(task.pid, task.comm, task.cpu, task.label) for task in trace.tasks.tasks] == [(0, "<idle>", 1, "<idle>/1")]
    assert select(trace, task=["<idle>"]).keep.tolist() == [True]


# ---- a duration column that holds something else


@pytest.mark.parametrize("column", [
    "|  garbage      |    ", "|  abcd         |    ", "|  12.000 ms    |    ", "|  x 1.000 us   |    ", "|    ",
    "|  garbage        ", "|  1.0x0 us     |    ", "|  -2.000 us    |    ", "|  d..x.r       |    ",
])  # fmt: skip
@pytest.mark.parametrize("body", ["demo_lost();", "demo_lost() {", "}", "/* demo_lost: x=1 */"])
@pytest.mark.parametrize("is_headed", [True, False])
def test_a_duration_column_that_holds_something_else_is_a_line_not_understood(
    column: str, body: str, is_headed: bool
) -> None:
    header = "# tracer: function_graph\n#\n# CPU  TASK/PID         DURATION                  FUNCTION CALLS\n"
    lines = [
        " 0)    cat-5    |               |  demo_a() {\n",
        " 0)    cat-5    |               |    /* sched_waking: comm=x pid=9 */\n",
        " 0)    cat-5    |   2.000 us    |    demo_kept();\n",
        " 0)    cat-5    |   9.000 us    |  }\n",
    ]
    text = (header if is_headed else "") + "".join([*lines[:2], f" 0)    cat-5    {column}{body}\n", *lines[2:]])
    trace = read(text)
    assert rows(trace, "level", "duration_ns") == [("demo_a", 0, 9_000), ("demo_kept", 1, 2_000)]
    assert notices(trace) == {"unread-line": 1} and trace.marks.names == ("sched_waking",)


def test_a_call_without_a_duration_among_others_is_not_said_to_be_of_a_text_without() -> None:
    trace = read(" 0)   2.000 us    |  demo_a();\n 0)               |  demo_b();\n 0)   3.000 us    |  demo_c();\n")
    assert rows(trace, "duration_ns") == [("demo_a", 2_000), ("demo_b", -1), ("demo_c", 3_000)]
    (notice,) = trace.notices
    assert (notice.code, notice.n, notice.hint) == ("no-duration", 1, "")
    assert notice.one == "call without a duration, although other lines have one"
    (none,) = read(" 0)  demo_a();\n").notices
    assert none.one == "call without a duration: the text has none (funcgraph-duration was off)"


def test_a_second_file_behind_the_first_may_have_no_durations() -> None:
    header = "# tracer: function_graph\n#\n# CPU  DURATION                  FUNCTION CALLS\n"
    first = header + " 0)   2.000 us    |  demo_a();\n"
    second = header.replace("DURATION", "        ") + " 0)  demo_b();\n"
    assert rows(read(first * 12 + second), "duration_ns")[-2:] == [("demo_a", 2_000), ("demo_b", -1)]


def test_what_a_wakeup_tracer_says_is_no_event_called_by_a_number() -> None:
    trace = read(" 0)   1.000 us    |  f();\n 0)               |  /*      0:120:R   + [000]   901:100:R sh */\n")
    assert trace.marks.names == ("comment",) and list(trace.marks.text) == ["0:120:R   + [000]   901:100:R sh"]
