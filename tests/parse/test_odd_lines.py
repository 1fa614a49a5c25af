"""What stands at the edges of the grammar: letters that are none, lines that break off, gaps between lines."""

from __future__ import annotations

import pytest

from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.parse import rawreport
from parse.test_plaintext import each_line
from reference.cases import read, rows

TASK, SOFTIRQ, HARDIRQ, NMI, UNKNOWN = 0, 1, 2, 3, 255


def line(micros: int, body: str, *, comm: str = "cat", pid: int = 5, latency: str = "") -> str:
    """A line of ``trace-cmd report``, at 100 s and so many microseconds."""
    return f"{comm:>16}-{pid:<5d} [000] {latency}  100.{micros:06d}: {body}\n"


def entry(body: str) -> str:
    return f"funcgraph_entry:                   |  {body}"


def exit_of(us: str, *, margin: str = "") -> str:
    return f"funcgraph_exit:       {us:>10} us |  {margin}}}"


LETTERS = {
    "....": TASK, "..s.": SOFTIRQ, "..h.": HARDIRQ, "..H.": HARDIRQ, "..z.": NMI, "..Z.": NMI, "d.h1.": HARDIRQ,
    "D.h1.": HARDIRQ, "bNs1.": SOFTIRQ, "B.z..": NMI, "..s..": SOFTIRQ, "dNh4.": HARDIRQ,
    "b..h1.": UNKNOWN, "d..h...": UNKNOWN,  # six and more: which letter it is only a header tells
}  # fmt: skip
NO_LETTERS = (
    "...",
    "a.h1.",
    "c.h1.",
    "e.h1.",
    "A.h1.",
    "C.h1.",
    "E.h1.",
    "Y.h1.",
    "/.h1.",
    "?.h1.",
    "d.x1.",
    "..........",
)


@pytest.mark.parametrize(("letters", "context"), [*LETTERS.items(), *((word, None) for word in NO_LETTERS)])
def test_latency_letters_are_a_column_and_other_words_a_prefix(letters: str, context: int | None) -> None:
    trace = read("# tracer: function_graph\n#\n" + f" 0)  {letters} |   1.234 us    |  f();\n" * 2)
    assert rows(trace, "duration_ns", "context") == [("f", 1_234, UNKNOWN if context is None else context)] * 2
    codes = {notice.code: notice.n for notice in trace.notices}
    assert codes == ({} if context is not None else {"text-prefix": 2})
    assert trace.calls.cpu.tolist() == [0 if context is not None else -1] * 2


@pytest.mark.parametrize("letters", [word for word in NO_LETTERS if len(word) > 3])
def test_one_line_with_other_letters_is_left_out(letters: str) -> None:
    lines = [f" 0)  {'d.h1.' if i != 4 else letters} |   1.234 us    |  f{i}();\n" for i in range(9)]
    trace = read("# tracer: function_graph\n#\n" + "".join(lines))
    assert rows(trace, "context") == [(f"f{i}", HARDIRQ) for i in range(9) if i != 4]
    assert {notice.code: notice.n for notice in trace.notices} == {"unread-line": 1}


def cut(*lines: str) -> Trace:
    return read("cpus=1\n" + "".join(lines))


@pytest.mark.parametrize(
    ("us", "is_same"),
    # The gap begins at f's entry, at 100 s; the exit is 200 us later.
    [("5.000", False), ("7.000", False), ("199.000", False), ("200.000", True), ("205.000", True)],
)
@pytest.mark.parametrize("loss", ["CPU:0 [12 EVENTS DROPPED]\n", "CPU:0 [EVENTS DROPPED]\n"])
def test_an_exit_behind_a_loss_is_of_the_call_that_began_before_it(us: str, is_same: bool, loss: str) -> None:
    trace = cut(line(0, entry("f() {")), loss, line(200, exit_of(us)))
    ns = round(float(us) * 1_000)
    calls = trace.calls
    if is_same:
        assert rows(trace, "duration_ns") == [("f", ns)]
        assert calls.has(Flag.CUT_BY_LOSS).tolist() == [True]
        return
    assert rows(trace, "duration_ns") == [("f", -1), ("?", ns)]
    assert calls.start_ns.tolist() == [100 * 10**9, 100 * 10**9 + 200_000 - ns]
    assert calls.has(Flag.NO_EXIT).tolist() == [True, False] and calls.has(Flag.NO_ENTRY).tolist() == [False, True]


@pytest.mark.parametrize(
    ("loss", "n", "cpu"),
    [
        ("CPU:0 [12 EVENTS DROPPED]", 12, 0), ("CPU:3 [LOST 1159 EVENTS]", 1159, 3), ("CPU:0 [EVENTS DROPPED]", -1, 0),
        ("CPU:1 [0 EVENTS DROPPED]", 0, 1), ("CPU:32767 [1 EVENTS DROPPED]", 1, 32767), ("CPU:2 [LOST EVENTS]", -1, 2),
    ],
)  # fmt: skip
def test_a_loss_has_its_cpu_and_its_number(loss: str, n: int, cpu: int) -> None:
    trace = cut(line(0, entry("f() {")), line(9, exit_of("9.000")), f"{loss}\n", line(20, entry("g();")))
    assert (trace.losses.n_lost.tolist(), trace.losses.cpu.tolist()) == ([n], [cpu])


@pytest.mark.parametrize("loss", ["CPU:32768 [1 EVENTS DROPPED]", "CPU: [1 EVENTS DROPPED]", "CPU:1 [1 PAGES DROPPED]"])
def test_what_is_no_loss_is_a_line_left_out(loss: str) -> None:
    trace = cut(line(0, entry("f() {")), line(9, exit_of("9.000")), f"{loss}\n", line(20, entry("g();")))
    assert not len(trace.losses)
    assert {notice.code: notice.n for notice in trace.notices}["unread-line"] == 1


def raw(time: str, body: str) -> str:
    return f"     cat-5       0-{time} {body}\n"


@pytest.mark.parametrize("n_before", [0, 3, 20])
@pytest.mark.parametrize("broken", ["0x1122334455667788f  f() {", "0x1122334455667788f", "0x0 12", "0x"])
def test_a_raw_line_that_breaks_off_takes_nothing_of_the_next(n_before: int, broken: str) -> None:
    calls = [raw(f"0x0   100.{i:06d}:", f"funcgraph_entry:        func=f{i} depth=0") for i in range(1, n_before + 1)]
    more = raw("0x0   200.000007:", "funcgraph_entry:        func=last depth=0")
    trace = cut(*calls, f"     cat-5       0-{broken}\n", more)
    assert rows(trace, "start_ns") == [
        *((f"f{i}", 100 * 10**9 + 1_000 * i) for i in range(1, n_before + 1)), ("last", 200 * 10**9 + 7_000),
    ]  # fmt: skip
    assert {notice.code: notice.n for notice in trace.notices}["unread-line"] == 1


# Without CPUs the task stands first, in the middle of 14 columns.
COMMS = ("cat-5", "bash-240", "a b-7", "kworker-1234", "x-1")


def centred(task: str) -> str:
    blanks = 14 - len(task)
    return " " * (blanks // 2) + task + " " * (blanks - blanks // 2 + 1) + "|"


@pytest.mark.parametrize("prefix", ["x ", "host foo: ", "user  12:01 PM ", "a=b "])
@pytest.mark.parametrize("task", COMMS)
def test_a_prefix_before_a_task_in_the_first_column(task: str, prefix: str) -> None:
    text = "".join(
        f"{centred(task)}               |  f() {{\n{centred(task)}   {i}.234 us    |    g();\n"
        f"{centred(task)} + 12.345 us   |  }}\n"
        for i in range(1, 5)
    )
    plain, trace = read(text), read(each_line(lambda n: prefix)(text))
    assert [one.pid for one in plain.tasks.tasks] == [int(task.rpartition("-")[2])]
    assert plain.tasks.tasks == trace.tasks.tasks
    assert rows(plain, "duration_ns", "level") == rows(trace, "duration_ns", "level")
    assert len(trace.calls) == 8 and {notice.code for notice in trace.notices} == {"text-prefix"}


OPTIONS = """
	[Section 0 @ 655794: "options", flags 0x0, 581 bytes]
		[Option TRACECLOCK, 67 bytes]
local global [mono] boot

		[Option UNAME, 38 bytes]
Linux there 7.2.13-kfgraph x86_64
		[Option VERSION, 21 bytes]
3.4.0 not-a-git-repo
		[Option CPUSTAT, 153 bytes]
CPU: 0
entries: 61565
overrun: 7
commit overrun: 9
		[Option CPUSTAT, 150 bytes]
CPU: 1
overrun: 35
		[Option CPUCOUNT, 4 bytes]
2
"""
BUFFERS = """
		[Option BUFFER, 63 bytes]
656391 [offset]
"" [name]
"boot" [clock]
4096 [Page size, bytes]
		[Option BUFFER, 63 bytes]
656391 [offset]
"probes" [name]
"local" [clock]
"""


def test_what_trace_cmd_says_of_a_file() -> None:
    meta = rawreport._meta(OPTIONS)
    assert (meta.kernel, meta.host, meta.arch) == ("7.2.13-kfgraph", "there", "x86_64")
    assert (meta.recorder, meta.clock, meta.n_cpus, meta.n_overrun) == ("trace-cmd 3.4.0", "mono", 2, 42)
    assert meta.buffers == ()
    meta = rawreport._meta(OPTIONS + BUFFERS)
    assert (meta.clock, meta.buffers) == ("boot", ("", "probes"))
    meta = rawreport._meta("")
    assert (meta.kernel, meta.host, meta.arch, meta.recorder, meta.clock) == ("", "", "", "", "")
    assert (meta.n_cpus, meta.n_overrun, meta.buffers) == (-1, -1, ())


def test_lines_like_records_that_are_not_understood_are_told_of_as_such() -> None:
    """Their time is in the caller's own: 25 us were said as exactly as any."""
    entry = "             cat-77    [001]   200.0000{}: funcgraph_entry:        2.500 us   |    {}\n"
    trace = read(
        "cpus=1\n"
        "             cat-77    [001]   200.000010: funcgraph_entry:                   |  demo_open() {\n"
        + entry.format(12, "demo_lock(); (ret=0x0)")
        + entry.format(16, "demo_a(); (ret=garbage)")
        + entry.format(20, "demo_b(); (ret=0x1ffffffffffffffea)")
        + "thanks, Bob\n"
        "             cat-77    [001]   200.000040: funcgraph_exit:       + 30.000 us  |  }\n"
    )
    (told,) = [notice for notice in trace.notices if notice.code == "unread-line"]
    assert told.sentence == (
        "3 lines were not understood and skipped, 2 of them like records: own times around these may be too long"
    )
    assert told.details["first_like_a_record"].endswith("demo_a(); (ret=garbage)")
