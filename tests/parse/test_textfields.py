"""Fields of events that a text shows."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfgraph import load
from kfgraph.model.fields import EventField
from kfgraph.model.marks import Marks
from kfgraph.parse import textfields
from kfgraph.parse.textfields import TextFields, fields_of


def marks_of(event: str, *texts: str) -> Marks:
    n = len(texts)
    zeros = np.zeros(n, np.int32)
    return Marks(
        np.arange(n), zeros, zeros.astype(np.int16), zeros, zeros, zeros, (event,), texts,
        TextFields((event,), zeros, texts),
    )  # fmt: skip


def column(marks: Marks, name: str) -> EventField:
    found = marks.field(marks.names[0], name)
    assert found is not None
    return found


SWITCH = {
    "prev_comm": "bash", "prev_pid": "123", "prev_prio": "120", "prev_state": "S",
    "next_comm": "swapper/0", "next_pid": "0", "next_prio": "-1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("event", "text", "said"),
    [
        ("sched_switch", "bash:123 [120] S ==> swapper/0:0 [-1]", SWITCH),
        (
            "sched_switch",
            "prev_comm=bash prev_pid=123 prev_prio=120 prev_state=S ==> next_comm=swapper/0 next_pid=0 next_prio=-1",
            SWITCH,
        ),
        # The raw form that `trace-cmd report -R` prints.
        (
            "sched_switch",
            " prev_comm=bash prev_pid=123 prev_state=1",
            {"prev_comm": "bash", "prev_pid": "123", "prev_state": "1"},
        ),
        ("sched_wakeup", "a b:7 [120] CPU:003", {"comm": "a b", "pid": "7", "prio": "120", "target_cpu": "003"}),
        (
            "sched_wakeup",
            "a:7 [120] success=1 CPU:003",
            {"comm": "a", "pid": "7", "prio": "120", "success": "1", "target_cpu": "003"},
        ),
        (
            "sched_waking",
            "comm=a pid=9 pid=7 prio=98 target_cpu=000",
            {"comm": "a pid=9", "pid": "7", "prio": "98", "target_cpu": "000"},
        ),
        (
            "sched_process_fork",
            "comm=pid=1 pid=2 child_comm=x child_pid=9 child_pid=3",
            {"comm": "pid=1", "pid": "2", "child_comm": "x child_pid=9", "child_pid": "3"},
        ),
        (
            "sched_switch",
            "x:1 [1] S ==> y:2 [2]:123 [120] R+ ==> z:4 [5]",
            {
                "prev_comm": "x:1 [1] S ==> y:2 [2]", "prev_pid": "123", "prev_prio": "120",
                "prev_state": "R+", "next_comm": "z", "next_pid": "4", "next_prio": "5",
            },
        ),
        ("sys_exit", "NR 257 = -2", {"id": "257", "ret": "-2"}),
        ("sys_exit_openat", "0xfffffffffffffffe", {"ret": "-2"}),
        ("sys_exit_openat", "sys_openat -> 0x3", {"ret": "0x3"}),
        # Of 32 bits: which of the two is not told.
        ("sys_exit_openat", "0xfffffffe", {"ret": "0xfffffffe"}),
        ("softirq_entry", "vec=1 [action=TIMER]", {"vec": "1", "action": "TIMER"}),
        (
            "timer_start",
            "timer=00000000ab function=tick [timeout=250] cpu=0, idx=1 flags=D|P",
            {"timer": "00000000ab", "function": "tick", "timeout": "250", "cpu": "0", "idx": "1", "flags": "D|P"},
        ),
        ("any", "filename=/a b/c pid=1 old_pid=1", {"filename": "/a b/c", "pid": "1", "old_pid": "1"}),
        ("any", "dev 8,0 rw=W (a=1)", {"rw": "W", "a": "1"}),
        ("any", "empty= next=2", {"empty": "", "next": "2"}),
        ("any", "url?x=1", {}),
        ("any", "no fields", {}),
        ("any", "", {}),
    ],
)  # fmt: skip
def test_what_a_text_shows(event: str, text: str, said: dict[str, str]) -> None:
    found = list(fields_of(event, text))
    assert len(dict(found)) == len(found)
    assert dict(found) == said


def test_columns_are_numbers_where_every_value_is_one() -> None:
    marks = marks_of("any", "a=1 b=0x10 c=1 d=x", "a=-9223372036854775808 b=0xffffffffffffffff c=no", "a=007 b=3 c=2")
    assert marks.field_names("any") == ("a", "b", "c", "d")
    a, b, c, d = marks.fields("any", "a", "b", "c", "d")
    assert a is not None and a.values.dtype == np.int64 and a.values.tolist() == [1, -(1 << 63), 7]
    assert b is not None and b.values.dtype == np.uint64 and b.values.tolist() == [16, (1 << 64) - 1, 3]
    assert c is not None and not c.is_number and list(c.values) == ["1", "no", "2"] and c.known.all()
    assert d is not None and list(d.values) == ["x", "", ""] and d.known.tolist() == [True, False, False]
    assert marks.field("any", "e") is None and marks.field("other", "a") is None


def test_what_is_not_told_or_told_twice_is_unknown() -> None:
    found = column(marks_of("any", "n=1", "m=2", "n=3 n=4"), "n")
    assert found.rows.tolist() == [0, 1, 2] and found.known.tolist() == [True, False, False]
    assert found.values.tolist() == [1, 0, 0]


def test_numbers_of_both_signs_that_fit_no_column_stay_as_written() -> None:
    assert list(column(marks_of("any", "n=-1", "n=0xffffffffffffffff"), "n").values) == ["-1", "0xffffffffffffffff"]
    assert list(column(marks_of("any", "n=99999999999999999999"), "n").values) == ["99999999999999999999"]


def test_a_task_that_is_called_like_a_number_is_none() -> None:
    assert list(column(marks_of("sched_switch", "12:1 [1] S ==> 34:2 [2]"), "prev_comm").values) == ["12"]


def test_a_text_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    n = 0

    def counted(event: str, text: str) -> Sequence[tuple[str, str]]:
        nonlocal n
        n += 1
        return list(fields_of(event, text))

    monkeypatch.setattr(textfields, "fields_of", counted)
    marks = marks_of("any", *(f"a={i} b={i}" for i in range(10)))
    assert n == 0
    assert column(marks, "a").values.tolist() == column(marks, "b").values.tolist() == list(range(10))
    assert marks.field_names("any") == ("a", "b") and n == 10


@given(st.dictionaries(st.sampled_from("abcdefg"), st.integers(-(1 << 63), (1 << 63) - 1)))
def test_numbers_come_back(values: dict[str, int]) -> None:
    marks = marks_of("any", " ".join(f"{name}={value}" for name, value in values.items()))
    assert {name: column(marks, name).values.tolist() for name in marks.field_names("any")} == {
        name: [value] for name, value in values.items()
    }


@pytest.mark.parametrize("event", ["any", "sched_switch", "sched_wakeup", "sys_exit", "sys_exit_x", "sched_waking"])
@pytest.mark.parametrize(
    "part", ["a=", " ", "a= ", "=", "[", "a:1 [1] S ==> ", "comm=a pid=1 child_comm=", ":1 ", "x -> ", "0x", "\\n"]
)
def test_hostile_texts_take_their_length_in_time(event: str, part: str) -> None:
    def took(event: str, part: str, n: int) -> float:
        """CPU seconds, the least of three: a collection of garbage of the tests before is no part of it."""
        text, times = part * (n // len(part)), []
        gc.disable()
        for _ in range(3):
            begin = time.process_time()
            list(fields_of(event, text))
            times.append(time.process_time() - begin)
        gc.enable()
        return min(times)

    # What takes the square of its length takes 64 times as long, and many times as long as ordinary fields.
    assert took(event, part, 160_000) < 30 * max(took(event, part, 20_000), took("any", "a=1 b=2 ", 20_000))


def test_a_report_and_a_trace_file_give_columns(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_text(
        "cpus=1\n"
        "  bash-123 [000] 100.000000000: funcgraph_entry:                   |  f() {\n"
        "  bash-123 [000] 100.000001000: sched_switch:         bash:123 [120] S ==> swapper/0:0 [120]\n"
        "  bash-123 [000] 100.000002000: sys_exit:             NR 257 = -2\n"
        "  bash-123 [000] 100.000003000: funcgraph_exit:         3.000 us   |  }\n"
    )
    marks = load(path).marks
    assert marks.field_names("sched_switch") == tuple(SWITCH)
    pid, state = marks.fields("sched_switch", "prev_pid", "prev_state")
    assert pid is not None and pid.values.tolist() == [123] and pid.rows.tolist() == [0]
    assert state is not None and list(state.values) == ["S"]
    ret = marks.field("sys_exit", "ret")
    assert ret is not None and ret.values.tolist() == [-2] and ret.rows.tolist() == [1]
