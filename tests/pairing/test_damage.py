"""Texts in which lines are missing, twice, or elsewhere: no call gets another's duration."""

from __future__ import annotations

import io

import pytest

from kfgraph.model.trace import Trace
from kfgraph.parse import load
from pairing import damage


def report(*lines: str) -> Trace:
    """``12 0 2.5 f();``: us after 100 s, depth, duration, what stands right of the bar; ``7@1 12 …``: task, CPU."""
    made = []
    for line in lines:
        where, _, rest = line.rpartition("@")
        pid, line = (where or "5"), rest
        cpu, line = (line.split(" ", 1)) if where else ("0", line)
        time, depth, duration, what = line.split(" ", 3)
        event = "funcgraph_exit" if what.startswith("}") else "funcgraph_entry"
        length = f"{float(duration):.3f} us" if duration != "-" else ""
        made.append(
            f"             cat-{pid}     [00{cpu}]  100.{int(time):06d}: {event}: {length:>15}   |"
            f"  {'  ' * int(depth)}{what}\n"
        )
    trace = load(io.BytesIO("".join(made).encode()))
    trace.check()
    return trace


def durations(*lines: str) -> dict[str, float]:
    """Name -> us, -1 unknown. Calls without a name are left out."""
    trace = report(*lines)
    calls = zip(trace.calls.func.tolist(), trace.calls.duration_ns.tolist(), strict=True)
    found = {trace.symbols.label(func): ns / 1000 if ns >= 0 else -1 for func, ns in calls}
    found.pop("?", None)
    return found


def test_a_call_does_not_return_before_it_is_entered() -> None:
    # The exit of g and the entry of h changed places.
    g, h = ("2 1 - g() {", "3 2 0.5 x();"), ("9 2 0.5 y();", "12 1 3.5 }")
    found = durations("0 0 - f() {", *g, "8 1 - h() {", "6 1 4.0 }", *h, "14 0 14.0 }")
    assert found == {"f": 14, "g": 4, "x": 0.5, "h": -1, "y": 0.5}


def test_an_entry_is_not_late_where_it_would_have_begun_before_the_call_before_it_was_over() -> None:
    def g(before: str, duration: float) -> float:
        return durations("0 0 - f() {", before, "60 1 - g() {", f"70 1 {duration} }}", "80 0 80.0 }")["g"]

    assert g("10 1 36.0 a();", 32) == -1
    assert g("10 1 20.0 a();", 32) == 32
    # An interrupt that hit the tracer stands there as well; what began before the call did not hit it.
    assert g("40 1 18.0 irq_enter_rcu();", 32) == 32
    assert g("30 1 18.0 irq_enter_rcu();", 32) == -1
    # A call before it that seems to be over later was late itself.
    assert g("10 1 55.0 a();", 32) == 32


def test_an_entry_is_not_late_where_it_would_have_begun_before_its_caller() -> None:
    def g(duration: float) -> float:
        return durations("0 0 - e() {", "20 1 - f() {", "40 2 - g() {", f"50 2 {duration} }}", "60 1 40.0 }")["g"]

    assert (g(28), g(36)) == (28, -1)


@pytest.mark.parametrize(("other", "kept"), [("7@0 30", False), ("7@1 30", True), ("7@0 2", True)])
def test_a_machine_that_makes_records_does_not_stand_still(other: str, kept: bool) -> None:
    found = durations("0 0 - f() {", f"{other} 0 1.0 g();", "60 0 10.0 }")
    assert found == {"f": 10 if kept else -1, "g": 1}


def test_in_a_text_in_disorder_nothing_explains_a_time_that_does_not_agree() -> None:
    # The exit stands before a call that began before it.
    lines = ("0 0 - f() {", "2 1 1.0 g();", "40 0 12.0 }", "20 0 3.0 h();")
    assert durations(*lines) == {"f": -1, "g": 1, "h": 3}
    assert durations(*lines[:3], "44 0 3.0 h();") == {"f": 12, "g": 1, "h": 3}


@pytest.mark.parametrize(
    ("after", "kept"), [("g", False), ("__hrtimer_rearm_deferred", True), ("raw_irqentry_exit_cond_resched", True)]
)
def test_what_calls_after_an_interrupt_has_not_returned_before_it(after: str, kept: bool) -> None:
    found = durations("0 0 - f() {", "40 1 20.0 irq_enter_rcu();", f"62 1 3.0 {after}();", "70 0 10.0 }")
    assert found["f"] == (10 if kept else -1)


def test_times_that_agree_roughly_prove_nothing_where_records_are_missing() -> None:
    def f(inside: str, end: str) -> float:
        return durations("0 0 - f() {", inside, end)["f"]

    assert f("2 2 0.5 g();", "10 0 6.5 }") == -1
    assert f("2 1 0.5 g();", "10 0 6.5 }") == 6.5
    assert f("2 2 0.5 g();", "10 0 8.5 }") == 8.5
    assert f("2 2 0.5 irq_enter_rcu();", "10 0 6.5 }") == 6.5
    assert f("2 1 - g() {", "10 0 6.5 }") == -1
    assert f("6 1 1.5 }", "10 0 6.5 }") == -1


def test_one_exit_that_is_too_deep_is_no_habit() -> None:
    # The entry of g is missing; its exit comes within 1 us of where f's would.
    lines = ("0 0 - f() {", "2 2 0.5 h();", "4 1 3.2 }", "9 0 9.0 }")
    assert durations(*lines) == {"f": 9, "h": 0.5}
    assert durations(*lines[:3]) == {"f": -1, "h": 0.5}
    # U-Boot's times are in whole us, and all of its exits are too deep.
    assert durations("0 0 - f() {", "1 1 - g() {", "2 2 1 h();", "4 2 3 }", "9 1 9 }") == {"f": 9, "g": 3, "h": 1}
    assert durations("0 0 - f() {", "2 2 1 h();", "4 1 4 }", "9 0 9 }") == {"f": 9, "h": 1}


def test_without_times_an_exit_that_is_too_deep_proves_nothing() -> None:
    lines = (b" 0)               |  f() {", b" 0)   0.500 us    |      h();", b" 0)   3.200 us    |    }")
    trace = load(io.BytesIO(b"\n".join((*lines, b" 0)   9.000 us    |  }\n"))))
    assert trace.calls.duration_ns.tolist() == [9_000, 3_200, 500]


def test_an_idle_tasks_leaf_that_stands_elsewhere_takes_no_exit() -> None:
    leaf = ("0@0 0 0 - f() {", "0@0 2 1 0.5 a();", "0@0 8 1 0.6 g();")
    assert durations(*leaf, "0@0 14 1 6.1 }") == {"f": -1, "a": 0.5, "g": 6.1}
    assert durations(*leaf, "0@0 14 1 3.1 }") == {"f": -1, "a": 0.5, "g": 0.6}
    assert durations(leaf[0], "0@0 9 1 0.5 a();", *leaf[2:], "0@0 14 1 6.1 }") == {"f": -1, "a": 0.5, "g": 0.6}


SAMPLE = 150

def test_damaged_texts_give_no_call_another_ones_duration() -> None:
    texts = [damage.intact(damage.REPOSITORY / text) for text in damage.TEXTS if "fixtures/text" in text]
    kept, wrong = 0, {}
    for seed in range(SAMPLE):
        text, kind, lines = damage.damaged(texts, seed)
        found, n = damage.wrong(text, lines)
        kept += n
        if found:
            wrong[seed] = kind
    # (Where a run of lines is missing, a text may look like that of a machine that stood still: none of these.)
    assert wrong == {}
    assert kept > 50 * SAMPLE
