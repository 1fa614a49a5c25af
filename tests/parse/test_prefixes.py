"""A prefix of any shape: the same table as without it, or lines that are counted; never another task, CPU or time."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfgraph.errors import InputError, NoMatchError
from kfgraph.model.trace import Trace
from parse.test_plaintext import TEXTS, TRIMMED, each_line, same
from reference.cases import FIXTURES, read, rows, unpack

CUTS = (
    "6.1-raw-pipe-syscalls", "6.1-report-pipe-syscalls", "6.12-report-l-insmod", "6.12-report-system",
    "6.12-raw-true-tsc", "6.12-report-true-tsc", "7.2-report-insmod-args", "7.2-retval-ftrace-args-retaddr",
    "7.2-retval-ftrace-with-syscalls", "6.1-ftrace-perf-ftrace", "6.1-ftrace-abstime",
)  # fmt: skip
PADDED = {
    **TEXTS,
    **{name: "\n".join(unpack(FIXTURES / f"{name}.txt.xz").decode().split("\n")[:70]) + "\n" for name in CUTS},
}
WANTED = {name: read(text) for name, text in PADDED.items()}

# None of these is of a known kind, or only in part.
SHAPES: dict[str, Callable[[int], str]] = {
    "user and clock": lambda n: "user  12:01 PM ",
    "user and a clock that goes on": lambda n: f"user  {11 + n // 60}:{n % 60:02d} {'AM' if n < 60 else 'PM'} ",
    "a word": lambda n: "x ",
    "a word without blank": lambda n: "foo.",
    "brackets of all kinds": lambda n: "(x) {a} <b> ",
    "assignment": lambda n: "a=b ",
    "numbered with a sign": lambda n: f"#{n} ",
    "levels that change": lambda n: f"{n} {('info', 'warn', 'error')[n % 3]} ",
    "thread ids": lambda n: f"host [{n % 7}] T{n % 3}: > ",
    "backslash": lambda n: "\\",
    "opening quote": lambda n: "'",
    "dollar": lambda n: "$ ",
    "hunk": lambda n: "@@ ",
    "arrow": lambda n: "=> ",
    "list": lambda n: "a,b,c, ",
    "like a task": lambda n: "cat-5 ",
    "like a task and its CPU": lambda n: "a-1 [000] ",
    "like a CPU": lambda n: "9) ",
    "like a duration": lambda n: "0.5 us | ",
    "dots": lambda n: "...",
    "a column of numbers": lambda n: f"{n:<5d}at ",
    "letters of other scripts": lambda n: "Zürich» ",
}
# A single line of what is left cannot be told from a record with these columns.
UNDECIDABLE = {
    ("bare", "like a CPU"), ("bare", "dots"), ("bare", "a word without blank"), ("bare", "like a task"),
    ("idle", "like a duration"), ("idle", "arrow"), ("bare", "arrow"),
}  # fmt: skip


def only_true_rows(trace: Trace, wanted: Trace) -> None:
    """Whatever was read stands in the text."""
    columns = ("lane", "cpu", "start_ns")
    assert {task.comm for task in trace.tasks.tasks} <= {task.comm for task in wanted.tasks.tasks}
    assert set(rows(trace, *columns)) <= set(rows(wanted, *columns))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PADDED)
def test_any_prefix_that_all_lines_share_is_taken_off(name: str, shape: str) -> None:
    text = each_line(SHAPES[shape])(PADDED[name])
    if (name, shape) in UNDECIDABLE:
        with suppress(InputError):
            only_true_rows(read(text), WANTED[name])
        return
    trace = read(text)
    same(trace, WANTED[name])
    found = {notice.code: notice for notice in trace.notices}
    wanted = {notice.code: notice for notice in WANTED[name].notices}
    assert found.keys() - wanted.keys() == {"text-prefix"}
    assert found["text-prefix"].n >= 0.9 * len(PADDED[name].splitlines())


WORDS = ("host", "user", "PM", "kernel:", "INFO", "x", "log.txt", "tag", "web_1", "é", "[tag]", "<6>", "2026-11-28")


def _piece(kind: int, choice: random.Random) -> Callable[[int], str]:
    if kind == 0:
        word = choice.choice(WORDS)
        return lambda n: word
    if kind == 1:
        first = choice.choice((0, 1, 95, 1234))
        return lambda n: str(first + n)
    if kind == 2:
        width = choice.choice((4, 6, -5))
        return lambda n: f"{n:{width}d}" if width > 0 else f"{n:<{-width}d}"
    if kind == 3:
        return lambda n: f"12:{n // 60:02d}:{n % 60:02d}"
    if kind == 4:
        return lambda n: f"[{n * 0.7:9.3f}]"
    if kind == 5:
        mark = choice.choice("|>#*:;,()[]{}<>!@$%^&+=~-/\\'\"`.?")
        return lambda n: mark
    seed = choice.random()
    return lambda n: random.Random(n + seed).choice(("info", "warn", "error"))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from(sorted(PADDED)))
def test_a_prefix_of_pieces_becomes_no_part_of_a_record(seed: int, name: str) -> None:
    choice = random.Random(seed)
    pieces: list[Callable[[int], str]] = []
    for _ in range(choice.randint(1, 4)):
        blank = choice.choice((" ", "", " ", "  ", "\t", ": "))
        pieces += [_piece(choice.randrange(7), choice), lambda _, blank=blank: blank]  # type: ignore[misc]
    try:
        trace = read(each_line(lambda n: "".join(piece(n) for piece in pieces))(PADDED[name]))
    except (InputError, NoMatchError):
        return
    only_true_rows(trace, WANTED[name])


COMMS = ("user  12:01", "> ", "web 1", "12:", "[x] y", "a-1 [000]", "x | y", "#7", "* ", "(sd-pam)", "1 2 3", "$ sh")


@pytest.mark.parametrize("comm", COMMS)
def test_names_of_tasks_are_no_prefix(comm: str) -> None:
    """Of one task only, and beside others; in every form of the report."""
    bodies = ("funcgraph_entry:                   |  demo_a() {", "funcgraph_exit:       + 10.000 us  |  }")
    for others in (False, True):
        for latency in ("", "d.h1. "):
            lines = []
            for i, body in enumerate(bodies * 5):
                lines.append(f"{comm:>16}-{5:<5d} [001] {latency}  100.{100 + 11 * i:06d}: {body}")
                if others:
                    lines.append(f"{'insmod':>16}-{7:<5d} [000] {latency}  100.{100 + 11 * i:06d}: {body}")
            trace = read("\n".join(lines) + "\n")
            assert {task.comm for task in trace.tasks.tasks} == {comm.lstrip(), *(["insmod"] if others else [])}
            assert len(trace.calls) == (10 if others else 5)
            assert not trace.notices


def test_two_buffers_stay_two() -> None:
    lines = TEXTS["report"].splitlines()
    both = "".join(f"{('foo', 'bar')[i % 2]}: {line}\n" for i, line in enumerate(lines[1:]))
    with pytest.raises(NoMatchError, match="main buffer"):
        read("      cpus=1\n" + both)


@pytest.mark.parametrize("prefix", ["[tag] ", "x ", "user  12:01 PM ", "12:", "a=b ", "{n} of 9 "])
def test_without_padding_a_header_or_the_idle_task_tells(prefix: str) -> None:
    no_idle = TRIMMED.replace("<idle>-0", "cat-7")
    for text in ("cpus=2\n" + TRIMMED, TRIMMED, "cpus=2\n" + no_idle):
        trace = read(each_line(lambda n: prefix.format(n=n))(text))
        same(trace, read(text))
        (notice,) = trace.notices
        assert (notice.code, notice.n) == ("text-prefix", text.count("\n"))


@pytest.mark.parametrize(("n", "odd"), [(20, 0), (20, 1), (20, 2), (40, 2), (40, 3)])
def test_one_line_in_twenty_may_begin_otherwise(n: int, odd: int) -> None:
    record = "            cat-42    [000]  1.{:06}: funcgraph_entry:        0.500 us   |  f();\n"
    text = "cpus=1\n" + "".join(f"{'host: one: ' if i < odd else 'x '}{record.format(i)}" for i in range(n))
    if odd > 0.05 * n:
        with pytest.raises(InputError, match=f"{n} lines like records of function_graph, none of them understood"):
            read(text)
        return
    trace = read(text)
    assert trace.calls.duration_ns.tolist() == [500] * (n - odd)
    counts = {one.code: one.n for one in trace.notices}
    assert (counts.get("text-prefix"), counts.get("unread-line", 0)) == (n - odd, odd)
