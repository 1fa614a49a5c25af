"""Text as people keep it (quoted, stamped, numbered, coloured, re-encoded) reads as what the tracer printed."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable

import numpy as np
import pytest

from builder.busy import busy
from builder.text import ftrace_text, report_text
from kfgraph.errors import InputError
from kfgraph.model.trace import Trace
from kfgraph.parse import load, plaintext
from reference.cases import FIXTURES, read, rows, unpack

DEFAULT = """# tracer: function_graph
#
# CPU  DURATION                  FUNCTION CALLS
# |     |   |                     |   |   |   |
 0)               |  demo_open() {
 1) + 11.000 us   |  demo_other [mod]();
 0)               |    demo_path() {
 0)               |      /* sched_waking: comm=x pid=9 */
 0)   0.500 us    |      demo_lock();
 0)   0.250 us    |      demo_copy [demo](); /* ret=0x10 */
 0)   4.000 us    |    }
 0)   0.100 us    |    demo_put();
 0) ! 112.000 us  |  } /* demo_open ret=-22 */
"""
IDLE = """ 0)    <idle>-0    |               |  demo_idle_a() {
 1)    <idle>-0    |               |  demo_idle_b() {
 0)    <idle>-0    |   2.000 us    |    demo_a1();
 1)    <idle>-0    |   3.000 us    |    demo_b1();
 0)    <idle>-0    |   5.000 us    |  }
 1)    <idle>-0    |   9.000 us    |  }
"""
BARE = """# tracer: function_graph
#
# FUNCTION CALLS
# |   |   |   |
demo_open() {
  demo_path() {
    demo_lock();
  }
  demo_put();
}
"""
NO_CPU = "\n".join(unpack(FIXTURES / "6.1-ftrace-nocpu.txt.xz").decode().split("\n")[:60]) + "\n"
LATENCY = "\n".join(unpack(FIXTURES / "6.1-ftrace-abstime-proc-latency.txt.xz").decode().split("\n")[:60]) + "\n"
TEXTS = {
    "default": DEFAULT,
    "idle": IDLE,
    "bare": BARE,
    "without CPU": NO_CPU,
    "latency": LATENCY,
    "abstime and proc": ftrace_text(busy()),
    "report": report_text(busy()),
    "report with letters": report_text(busy(), latency=True, version_line=True),
}


def each_line(prefix: Callable[[int], str]) -> Callable[[str], str]:
    return lambda text: "".join(prefix(n) + line + "\n" for n, line in enumerate(text.splitlines(), 1))


PREFIXES = {
    "mail": each_line(lambda n: "> "),
    "mail, twice": each_line(lambda n: "> > "),
    "mail, twice without blank": each_line(lambda n: ">> "),
    "mail without blank": each_line(lambda n: ">"),
    "bar": each_line(lambda n: "| "),
    "comment": each_line(lambda n: " * "),
    "diff": each_line(lambda n: "+"),
    "code block": each_line(lambda n: "    "),
    "code block of a tab": each_line(lambda n: "\t"),
    "dmesg": each_line(lambda n: f"[{12 + n * 0.7:12.6f}] "),
    "dmesg with callers": each_line(lambda n: f"[{12 + n * 0.7:12.6f}][ T{n % 3 + 100}] "),
    "dmesg with a level": each_line(lambda n: f"<4>[{12 + n * 0.7:12.6f}] "),
    "dmesg -T": each_line(lambda n: f"[Sat Nov 28 12:00:{n % 60:02d} 2026] "),
    "dmesg -d": each_line(lambda n: f"[{12 + n * 0.7:12.6f} <{n * 0.1:12.6f}>] "),
    "dmesg -x": each_line(lambda n: f"kern  :warn  : [{12 + n * 0.7:12.6f}] "),
    "syslog": each_line(lambda n: f"Nov 28 12:00:{n % 60:02d} host kernel: [{12 + n * 0.7:12.6f}] "),
    "syslog, ISO": each_line(lambda n: f"2026-11-28T12:00:{n % 60:02d}.123456+01:00 host kernel: [{n * 0.7:12.6f}] "),
    "journalctl": each_line(lambda n: f"Nov  8 12:00:{n % 60:02d} host kernel: "),
    "host kernel": each_line(lambda n: "host kernel: "),
    "console stamps": each_line(lambda n: f"[2026-11-28 12:00:{n % 60:02d}.123] "),
    "quoted dmesg": each_line(lambda n: f"> [{12 + n * 0.7:12.6f}] "),
    "grep -n": each_line(lambda n: f"{n}:"),
    "seconds with a colon": each_line(lambda n: f"{n * 0.25:.3f}: "),
    "grep -n, context": each_line(lambda n: f"{n}-"),
    "grep -Hn": each_line(lambda n: f"logs/trace.txt:{n}:"),
    "cat -n": each_line(lambda n: f"{n:6d}\t"),
    "less -N": each_line(lambda n: f"{n:7d} "),
    "console's name": each_line(lambda n: "[ttyS0] "),
    "docker compose": each_line(lambda n: "web_1  | "),
    "mail with initials": each_line(lambda n: "JD> "),
    "logcat": each_line(lambda n: f"11-28 12:00:00.{n:03d}   0     0 I         : "),
    "seconds": each_line(lambda n: f"1764331200.{n:06d} "),
    "dmesg with a CPU": each_line(lambda n: f"[{12 + n * 0.7:12.6f},{n % 4}] "),
    "bat": each_line(lambda n: f"{n:4d} │ "),
}
FORMS = {
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "CR CR LF": lambda text: text.replace("\n", "\r\r\n"),
    "CR alone": lambda text: text.replace("\n", "\r"),
    "blanks at the ends": lambda text: text.replace("\n", "   \n"),
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16 LE": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16 BE": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-16 LE without a mark": lambda text: text.encode("utf-16-le"),
    "UTF-16 BE without a mark": lambda text: text.encode("utf-16-be"),
    "UTF-16 and CRLF": lambda text: codecs.BOM_UTF16_LE + text.replace("\n", "\r\n").encode("utf-16-le"),
    "no last line end": lambda text: text[:-1],
    "code fence": lambda text: f"```\n{text}```\n",
    "HTML": lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
    "no-break spaces": lambda text: text.replace("  ", " \xa0"),
    "grep --color": lambda text: re.sub(r"(demo|lock|ktime)", "\x1b[01;31m\x1b[K\\1\x1b[m\x1b[K", text),
    "a coloured terminal": lambda text: "".join(f"\x1b[32m{line}\x1b[0m\n" for line in text.splitlines()),
}
PLACES = ["func", "lane", "cpu", "start_ns", "duration_ns", "self_ns", "level", "depth", "parent", "context", "flags"]


def same(found: Trace, wanted: Trace) -> None:
    assert [name for name, *_ in rows(found)] == [name for name, *_ in rows(wanted)]
    for name in PLACES:
        assert np.array_equal(getattr(found.calls, name), getattr(wanted.calls, name)), name
    for name in ("retval", "caller"):
        assert (getattr(found.calls, name) is None) == (getattr(wanted.calls, name) is None)
    if wanted.calls.retval is not None:
        assert np.array_equal(found.calls.retval, wanted.calls.retval)
    assert found.tasks == wanted.tasks and found.marks.names == wanted.marks.names
    assert [text.strip() for text in found.marks.text] == [text.strip() for text in wanted.marks.text]
    assert found.meta.n_cpus == wanted.meta.n_cpus and found.meta.reader == wanted.meta.reader


def codes(trace: Trace) -> set[str]:
    return {notice.code for notice in trace.notices}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", TEXTS)
def test_a_prefix_that_all_lines_share_is_taken_off_and_said(name: str, prefix: str) -> None:
    text = TEXTS[name]
    if (name, prefix) == ("bare", "bar"):
        pytest.skip("extra: a bar before a function is an empty duration column")
    wanted = read(text)
    assert len(wanted.calls) >= 4 and not codes(wanted) & {"text-prefix", "unread-line"}
    trace = read(PREFIXES[prefix](text))
    same(trace, wanted)
    assert "unread-line" not in codes(trace)
    if "code block" not in prefix:
        (notice,) = [notice for notice in trace.notices if notice.code == "text-prefix"]
        assert notice.n >= len(text.splitlines()) - text.count("\n\n")
        first = PREFIXES[prefix]("").strip() or PREFIXES[prefix]("x\n")[:-2]
        assert notice.details["first"].strip("'").strip() in repr(first)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", TEXTS)
def test_what_stands_for_plain_characters_is_undone(name: str, form: str) -> None:
    wanted = read(TEXTS[name])
    trace = read(FORMS[form](TEXTS[name]))
    same(trace, wanted)
    assert not codes(trace) & {"unread-line", "text-prefix", "cut-input"}


def test_what_does_not_share_the_prefix_is_left_out_and_counted() -> None:
    text = PREFIXES["mail"](IDLE).replace("\n", "\n\nI think it hangs here:\n", 1)
    trace = read("On Saturday somebody wrote:\n\n" + text + "-- \nnobody\n")
    same(trace, read(IDLE))
    (left,) = [notice for notice in trace.notices if notice.code == "unread-line"]
    assert left.n == 3 and left.details["first"] == "On Saturday somebody wrote:"


@pytest.mark.parametrize("n", [(2, 2), (9, 2), (150, 2), (2, 150), (150, 150)])
@pytest.mark.parametrize(
    "quotes",
    [("> ", "> > "), ("> > ", "> "), (">> ", "> > > "), ("", "> "), ("> ", ""), ("", "JD> "), ("> ", "> JD> > "),
     ("[   12.345678] ", "[   12.345678] > ")],
)  # fmt: skip
@pytest.mark.parametrize("form", ["ftrace", "report"])
def test_each_block_is_read_however_deep_it_is_quoted(form: str, quotes: tuple[str, str], n: tuple[int, int]) -> None:
    head = ["# tracer: function_graph", "#", "# CPU  DURATION      FUNCTION CALLS"] if form == "ftrace" else []
    before = " 0)  " if form == "ftrace" else "             cat-5     [000]   100.000000: funcgraph_entry:"
    names = [f"f{i}" for i in range(sum(n))]
    records = [f"{before} 1.500 us    |  {name}();" for name in names]
    first, second = ([*head, *records[: n[0]], ""], [*head, *records[n[0] :], ""])
    lines = [quotes[0] + line for line in first]
    lines += ["", "On Monday somebody wrote:", *(quotes[1] + line for line in second)]
    trace = read("\n".join(lines) + "\n")
    assert rows(trace, "duration_ns", "cpu") == [(name, 1_500, 0) for name in names]
    (left,) = [notice for notice in trace.notices if notice.code == "unread-line"]
    assert (left.n, left.details["first"]) == (1, "On Monday somebody wrote:")
    assert "text-prefix" in codes(trace)


def test_a_line_quoted_deeper_than_its_neighbours_is_left_out_and_counted() -> None:
    lines = PREFIXES["mail"](IDLE).splitlines()
    trace = read("\n".join([*lines[:3], "> >  0)    <idle>-0    |  99.000 us   |    other();", *lines[3:]]) + "\n")
    same(trace, read(IDLE))
    assert [notice.n for notice in trace.notices if notice.code == "unread-line"] == [1]


def test_the_text_of_an_event_keeps_its_quotes() -> None:
    text = report_text(busy()).splitlines()
    event = "            bash-240     [000]   147.536649: print: said\n> one\n> two"
    trace = read("\n".join([*text[:9], event, *text[9:]]) + "\n")
    assert "said\n> one\n> two" in list(trace.marks.text)


def test_a_single_quoted_line_makes_no_task_and_no_cpu() -> None:
    for line in (
        ">  0)    <idle>-0    |  99.000 us   |    other();",
        "[   12.345678]  0)    <idle>-0    |  99.000 us   |    other();",
        "host kernel:  0)    <idle>-0    |  99.000 us   |    other();",
        "12: 0)    <idle>-0    |  99.000 us   |    other();",
        ">    <idle>-0    |  99.000 us   |    other();",
    ):
        lines = IDLE.splitlines()
        trace = read("\n".join([*lines[:3], line, *lines[3:]]) + "\n")
        same(trace, read(IDLE))
        (left,) = [notice for notice in trace.notices if notice.code == "unread-line"]
        assert (left.n, left.details["first_like_a_record"]) == (1, line)


def test_a_single_quoted_line_of_a_report_makes_no_task() -> None:
    text = report_text(busy())
    lines = text.splitlines()
    for prefix in ("> ", "[   12.345678] ", "host kernel: ", "12: "):
        trace = read("\n".join([*lines[:9], prefix + lines[9].replace("-302", "-77"), *lines[9:]]) + "\n")
        same(trace, read(text))
        assert [notice.n for notice in trace.notices if notice.code == "unread-line"] == [1]


def test_a_log_that_begins_long_before_the_dump() -> None:
    boot = "".join(f"[{n * 0.001:12.6f}] usb 1-{n % 9}: new device number {n}\n" for n in range(30_000))
    dump = "Dumping ftrace buffer:\n---------------------------------\n" + IDLE + "---------------------------------\n"
    log = boot + PREFIXES["dmesg"](dump)
    assert len(log) > 1 << 20
    trace = read(log)
    same(trace, read(IDLE))
    counts = {notice.code: notice.n for notice in trace.notices}
    assert counts == {"text-prefix": 30_009, "unread-line": 30_000}


def test_a_log_without_a_dump_is_no_trace() -> None:
    with pytest.raises(InputError, match="not a trace that kfgraph can read"):
        read("[    0.1] Linux version 6.1\n" * 100_000)


def test_nothing_is_taken_off_a_text_that_is_read_as_it_is() -> None:
    # Events may hold anything; and so may names of a text that could be read.
    text = DEFAULT.replace("comm=x pid=9", "comm=\x1b[31m &lt; \xc2\xa0\t> pid=9")
    trace = read(text)
    assert list(trace.marks.text) == ["comm=\x1b[31m &lt; \xc2\xa0\t> pid=9"]
    assert not codes(trace) & {"text-form", "text-prefix"}


def test_colours_and_entities_are_said_and_tabs_are_not() -> None:
    for form, said in (("grep --color", "terminal escape sequences"), ("HTML", "HTML entities")):
        (notice,) = [n for n in read(FORMS[form](TEXTS["report"])).notices if n.code == "text-form"]
        assert notice.text == f"{said} were removed from the text"
    tabs = "\t0)               |  demo_open() {\n\t0)   0.500 us    |    demo_lock();\n\t0)   4.000 us    |  }\n"
    trace = read(tabs)
    assert rows(trace, "level", "duration_ns", "self_ns", "cpu") == [
        ("demo_open", 0, 4_000, 3_500, 0),
        ("demo_lock", 1, 500, 500, 0),
    ]
    assert not trace.notices


def test_one_name_before_every_line_and_its_heading_is_no_buffers() -> None:
    text = TEXTS["report"]
    trace = read(each_line(lambda n: "INFO: ")(text))
    same(trace, read(text))
    assert [n.text for n in trace.notices if n.code == "text-prefix"]
    # The main buffer's lines have blanks there, a text without a heading is that of one buffer.
    lines = text.splitlines()
    records = [line for line in lines if "funcgraph" in line]
    for named, others in ((lines, ["     " + line for line in records[-2:]]), (records, [])):
        kept = "".join(f"{line}\n" for line in [*(f"foo: {line}" for line in named), *others])
        found = load(io.BytesIO(kept.encode()), buffer="foo")
        assert len(found.calls) > 0 and "text-prefix" not in codes(found)


def test_a_page_of_html_whose_function_lines_are_read_as_they_are() -> None:
    page = (
        "<html><body><pre>\n# tracer: function_graph\n#\n 0)   1.000 us    |  first();\n"
        " ------------------------------------------\n 0)   bash-240    =&gt;   cat-12    \n"
        " ------------------------------------------\n\n 0)   2.000 us    |  second();\n</pre></body></html>\n"
    )
    trace = read(page)
    tasks = [trace.tasks[at].pid for at in trace.calls.lane.tolist()]
    assert dict(zip([name for name, *_ in rows(trace)], tasks, strict=True)) == {"first": 240, "second": 12}


def test_unexpanded_text_has_the_same_tree() -> None:
    """unexpand -a: runs of blanks that end at a multiple of eight become a tab."""
    for text in (TEXTS["abstime and proc"], LATENCY, NO_CPU, TEXTS["report"]):
        lines = []
        for line in text.splitlines():
            pieces = [line[at : at + 8] for at in range(0, len(line), 8)]
            lines.append("".join(re.sub(r"  +$", "\t", piece) if len(piece) == 8 else piece for piece in pieces))
        packed = "\n".join(lines) + "\n"
        assert packed.count("\t") > 40 and packed.expandtabs(8) == text
        same(read(packed), read(text))


def test_how_the_bytes_arrive_does_not_matter() -> None:
    class Pieces:
        def __init__(self, data: bytes, step: int) -> None:
            self.data, self.step, self.at = data, step, 0

        def read(self, size: int, /) -> bytes:
            piece = self.data[self.at : self.at + min(size, self.step)]
            self.at += len(piece)
            return piece

    from kfgraph.parse import load

    text = PREFIXES["syslog"](TEXTS["report"] * 700)
    assert len(text) > 3 << 20
    for data in (text.encode(), codecs.BOM_UTF16_LE + text.encode("utf-16-le")):
        trace = load(Pieces(data, 4_099))
        same(trace, read(TEXTS["report"] * 700))
        assert [n.n for n in trace.notices if n.code == "text-prefix"] == [text.count("\n")]


@pytest.mark.parametrize("name", ["default", "abstime and proc"])
def test_a_line_without_the_columns_of_the_others_is_no_record(name: str) -> None:
    """Its CPU would be unknown, its time gone."""
    text = TEXTS[name]
    line = "   1.000 us    |  other();" if name == "default" else "   0)  insmod-302    |   1.000 us    |  other();"
    trace = read(text + line + "\n")
    same(trace, read(text))
    assert [notice.n for notice in trace.notices if notice.code == "unread-line"] == [1]


TRIMMED = """cat-5     [001]  100.000100: funcgraph_entry:                   |  demo_a() {
<idle>-0    [000]  100.000101: funcgraph_entry:        0.400 us   |  demo_i();
cat-5     [001]  100.000103: funcgraph_entry:        0.400 us   |    demo_kept();
cat-5     [001]  100.000110: funcgraph_exit:       + 10.000 us  |  }
"""
TRIMMED_PROC = """cat-5    |               |  demo_a() {
cat-5    |   0.400 us    |    demo_kept();
cat-5    | + 10.000 us   |  }
"""
IN_COMMS = [">", ">>", "> >", "JD>", "{n}:", "{n}", "{n}.", "*", "+", "|", "#", "-", "//", "8)"]
IN_COMMS += ["[12.34567{n}]", "a.txt:{n}:"]


@pytest.mark.parametrize("prefix", IN_COMMS)
def test_a_prefix_becomes_no_part_of_a_task_name_where_padding_is_gone(prefix: str) -> None:
    for text in (TRIMMED, "cpus=2\n" + TRIMMED, TRIMMED_PROC):
        if text == TRIMMED_PROC and prefix in ("|", "8)", "+", "#", "*"):
            continue  # these are columns of it
        trace = read(each_line(lambda n: prefix.format(n=n) + " ")(text))
        same(trace, read(text))
        assert {task.comm for task in trace.tasks.tasks} <= {"cat", "<idle>"}
        (notice,) = trace.notices
        assert (notice.code, notice.n) == ("text-prefix", text.count("\n"))
        assert notice.details["first"] == repr(prefix.format(n=1) + " ")


@pytest.mark.parametrize("quote", ["`", "'", '"'])
def test_quotes_around_lines_become_no_part_of_a_task_name(quote: str) -> None:
    for text in (TRIMMED, TRIMMED_PROC, TEXTS["report"], TEXTS["idle"], TEXTS["default"]):
        trace = read("".join(f"{quote}{line}{quote}\n" for line in text.splitlines()))
        same(trace, read(text))
        assert codes(trace) - codes(read(text)) == {"text-form"}


def test_a_log_that_begins_with_kernel_is_no_buffer() -> None:
    for text in (TRIMMED, TEXTS["report"]):
        trace = read(each_line(lambda n: "kernel: ")(text))
        same(trace, read(text))
        assert codes(trace) - codes(read(text)) == {"text-prefix"}


def test_a_comm_that_begins_like_a_prefix_stays_where_another_line_has_none() -> None:
    text = TRIMMED.replace("cat-5", "> cat-5")
    assert {task.comm for task in read(text).tasks.tasks} == {"> cat", "<idle>"}
    padded = "".join(f"{'> cat':>16s}-5     [001]  {line}\n" for line in (
        "100.000100: funcgraph_entry:                   |  demo_a() {",
        "100.000110: funcgraph_exit:       + 10.000 us  |  }",
    ))  # fmt: skip
    trace = read(padded)
    assert [task.comm for task in trace.tasks.tasks] == ["> cat"] and not trace.notices
    numbered = TRIMMED.replace("<idle>-0 ", "2 b-6 ").replace("cat-5", "2 cat-5")
    assert {task.comm for task in read(numbered).tasks.tasks} == {"2 cat", "2 b"}


@pytest.mark.parametrize("ending", ["$", "|", " |", "\\n", '"', "'", '\\n"', "\\n'", "", ";"])
@pytest.mark.parametrize("rest", ["", " ", "\r", "  \r"])
def test_of_one_line_the_same_ending_is_taken_off_as_of_many(ending: str, rest: str) -> None:
    line = f" 0)   1.000 us    |  f();{ending}{rest}".encode()
    assert plaintext._without_endings(line) == plaintext._without_endings(line + b"\n" + line).split(b"\n")[0]
