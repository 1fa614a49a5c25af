"""Exits are given to the entries that they belong to: by name, else by depth and time."""

from __future__ import annotations

import io
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builder import tracedat as build
from kfgraph.analyze.calltree import call_tree
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.parse import load, pairing
from kfgraph.parse.lanes import Lanes
from kfgraph.parse.records import ENTRY, EXIT, LOSS, RecordBatch
from pairing.agreement import compare

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
CASES = FIXTURES / "cases"


def read(text: str) -> Trace:
    trace = load(io.BytesIO(text.encode()))
    trace.check()
    return trace


def case(name: str) -> Trace:
    trace = load(CASES / name)
    trace.check()
    return trace


def tree(trace: Trace) -> list[tuple[str, int, int, int]]:
    """(name, parent, duration, self) of every call, times in us, -1 unknown."""
    calls = trace.calls

    def us(ns: Any) -> int:
        return int(ns) // 1000 if ns >= 0 else -1

    return [
        (trace.symbols.label(int(f)), int(p), us(d), us(s))
        for f, p, d, s in zip(calls.func, calls.parent, calls.duration_ns, calls.self_ns, strict=True)
    ]


def notices(trace: Trace) -> dict[str, int]:
    return {notice.code: notice.n for notice in trace.notices}


def report(*lines: str, pid: int = 5) -> Trace:
    """``12.5 0 f() {``: time in us after 100 s, depth, what stands right of the bar, or ``24 }`` and the like."""
    made = []
    for line in lines:
        time, depth, duration, what = line.split(" ", 3)
        event = "funcgraph_exit" if what.startswith("}") else "funcgraph_entry"
        length = f"{duration} us" if duration != "-" else ""
        at = f"{100 + int(time) // 1_000_000}.{int(time) % 1_000_000:06d}"
        made.append(f"             cat-{pid}     [000]  {at}: {event}: {length:>15}   |  {'  ' * int(depth)}{what}\n")
    return read("".join(made))


def test_an_interrupts_records_are_left_out_and_its_end_is_not_given_to_its_beginning() -> None:
    trace = case("report-I.txt")
    assert tree(trace) == [
        ("demo_timer_irq", -1, 84, -1),
        ("irq_enter", 0, -1, -1),
        ("rcu_irq_enter", 1, 0, 0),
        ("?", 0, 24, -1),
        ("__do_softirq", 3, 20, 20),
        ("idle_cpu", 3, 0, 0),
    ]
    assert notices(trace)["exit-elsewhere"] == 1


def test_two_recordings_in_one_file() -> None:
    trace = case("two-recordings.txt")
    assert tree(trace) == [
        ("demo_first", -1, -1, -1),
        ("demo_sleep", 0, -1, -1),
        ("?", -1, 11, -1),
        ("?", 2, 7, -1),
    ]
    assert notices(trace)["exit-elsewhere"] == 2
    assert trace.calls.start_ns.tolist()[2:] == [900_000_001_000, 900_000_003_000]


def test_a_second_recording_that_goes_back_in_time_begins_anew() -> None:
    trace = report("900000 0 - first() {", "900001 1 - second() {", "100 2 1.0 third();", "110 0 - fourth() {")
    assert tree(trace) == [
        ("first", -1, -1, -1),
        ("second", 0, -1, -1),
        ("third", -1, 1, 1),
        ("fourth", -1, -1, -1),
    ]


def test_a_callee_that_begins_before_its_caller_has_no_time_and_is_counted() -> None:
    trace = case("child_before_parent.txt")
    assert tree(trace) == [("call_rcu", -1, -1, -1), ("__rcu_read_unlock", 0, 1, 1)]
    assert trace.calls.start_ns.tolist() == [49_546_501_000, -1]
    assert trace.calls.has(Flag.START_UNKNOWN).tolist() == [False, True]
    assert notices(trace)["contradiction"] == 1


@pytest.mark.parametrize("name", ["nosleep.dat", "nosleep.txt"])
def test_nosleep_time(name: str) -> None:
    trace = case(name)
    expected = [("demo_read", -1, 6, 3), ("demo_before", 0, 1, 1), ("schedule", 0, 1, 1), ("demo_after", 0, 1, 1)]
    assert tree(trace) == expected
    assert not trace.calls.has(Flag.IN_TRACER).any()
    assert notices(trace) == {}


def test_nosleep_time_through_several_calls() -> None:
    trace = report(
        "0 0 - sys_read() {",
        "2 1 - wait() {",
        "4 2 - schedule() {",
        "6 3 1.0 dequeue_task();",
        "5008 3 1.0 finish_task_switch();",
        "5010 2 4.0 }",
        "5012 1 8.0 }",
        "5013 1 1.0 copy();",
        "9015 0 4013.0 }",
    )
    # The 4 ms after copy were no sleep: they are in the duration.
    assert [d for _, _, d, _ in tree(trace)] == [4013, 8, 4, 1, 1, 1]
    assert [s for _, _, _, s in tree(trace)] == [4004, 4, 2, 1, 1, 1]
    assert not trace.calls.has(Flag.IN_TRACER).any()


def test_a_wait_does_not_explain_where_durations_have_the_time_asleep_in_them() -> None:
    trace = report(
        "0 0 - schedule() {",
        "3000 0 2999.0 }",
        "4000 0 - f() {",
        "4002 1 1.0 schedule();",
        "54002 0 6.0 }",
    )
    assert tree(trace) == [("schedule", -1, 2999, 2999), ("f", -1, -1, -1), ("schedule", 1, 1, 1), ("?", -1, 6, -1)]


@pytest.mark.parametrize("name", ["exit-depth.dat", "exit-depth.report.txt"])
def test_exits_one_too_deep(name: str) -> None:
    trace = case(name)
    assert tree(trace) == [("demo_init", -1, 9, 3), ("demo_clk", 0, 2, 2), ("demo_console", 0, 4, 4)]
    assert notices(trace) == {}


def test_a_name_at_the_exit_decides_before_its_depth() -> None:
    kernel = build.Kernel()
    cpu = build.Cpu(kernel, 0)
    cpu.entry(1_000, 7, 0x1000, 2)
    cpu.entry(2_000, 7, 0x2000, 3)
    cpu.exit(3_000, 7, 0x2000, 1, 1_950, 2_950)
    cpu.exit(4_000, 7, 0x1000, 0, 950, 3_950)
    symbols = {0x1000: ("T", "f", ""), 0x2000: ("T", "g", "")}
    trace = load(io.BytesIO(build.trace_dat(kernel, [cpu], symbols=symbols)))
    trace.check()
    assert tree(trace) == [("f", -1, 3, 2), ("g", 0, 1, 1)]


def test_the_same_function_deeper_whose_entry_is_missing_keeps_its_own_exit() -> None:
    kernel = build.Kernel()
    cpu = build.Cpu(kernel, 0)
    cpu.entry(1_000, 7, 0x1000, 0)
    cpu.exit(3_000, 7, 0x1000, 1, 1_500, 2_950)
    cpu.exit(4_000, 7, 0x1000, 0, 950, 3_950)
    trace = load(io.BytesIO(build.trace_dat(kernel, [cpu], symbols={0x1000: ("T", "f", "")})))
    trace.check()
    assert trace.calls.duration_ns.tolist() == [3_000, 1_450]


@pytest.mark.parametrize("name", ["pnbc.dat", "pnbc2.txt"])
def test_records_that_contradict_one_another(name: str) -> None:
    trace = case(name)
    assert [(n, p) for n, p, _, _ in tree(trace)] == [
        ("do_dup2", -1),
        ("mntput", 0),
        ("____fput", -1),
        ("security_file_free", 2),
        ("__fput", 2),
    ]
    assert trace.calls.duration_ns.tolist() == [-1, 9_808, 131_456, -1, 126_858]
    assert (trace.calls.self_ns == -1).all()
    assert notices(trace)["exit-elsewhere"] >= 1


def test_what_follows_a_loss_is_not_below_a_call_that_returned_in_it() -> None:
    trace = case("stale_parent.dat")
    calls = trace.calls
    assert [(n, p) for n, p, _, _ in tree(trace)] == [("short", -1), ("work", -1), ("leaf", 1), ("next", -1)]
    assert calls.duration_ns.tolist() == [-1, 50_000_000, 2_000, 2_000]
    assert calls.has(Flag.CALLER_LOST).tolist() == [False, True, False, False]
    assert not calls.has(Flag.DEPTH_JUMP).any()
    shown = str(call_tree(trace))
    assert "≥" not in next(line for line in shown.splitlines() if "short" in line)
    assert "! caller unknown, records lost" in shown
    assert notices(trace) == {"lost-records": 2, "cut-by-loss": 1, "exit-missing": 1, "caller-lost": 1}


def test_an_interrupt_of_a_text_hit_the_call_or_the_tracer() -> None:
    assert tree(case("text_self.dat"))[0] == ("outer", -1, 100, 10)
    text = case("text_self.txt")
    assert tree(text)[0] == ("outer", -1, 100, -1)
    assert text.calls.has(Flag.SELF_UNKNOWN).tolist() == [True, False, False]


def test_an_interrupt_before_a_callee_that_began_before_it_hit_the_tracer() -> None:
    # As in examples/insmod-lossy.report.txt.xz: the callee's record was late, its duration tells when it began.
    hit = ("0 0 - f() {", "40 2 4.0 irq_enter_rcu();", "46 2 50.0 sysvec_apic_timer_interrupt();")
    trace = report(*hit, "100 1 99.0 g();", "104 1 1.0 h();", "110 0 110.0 }")
    assert [s for _, _, _, s in tree(trace)] == [10, 4, 50, 99, 1]
    assert trace.calls.has(Flag.IN_TRACER).tolist() == [False, True, True, False, False]
    # The last callee is over when its caller is.
    assert tree(report(*hit, "100 1 99.0 g();", "105 0 110.0 }"))[0] == ("f", -1, 110, 11)
    # A callee that began behind the interrupt, or parts with a gap between them, tell nothing.
    assert tree(report(*hit, "100 1 2.0 g();", "104 1 1.0 h();", "110 0 110.0 }"))[0][3] == -1
    assert tree(report("0 0 - f() {", "20 2 4.0 a();", *hit[1:], "100 1 99.0 g();", "110 0 130.0 }"))[0][3] == -1


def test_a_callee_longer_than_its_caller_is_an_interrupt_only_where_something_says_so() -> None:
    def text(name: str, *, letters: str = "") -> Trace:
        margin = [f" 0)  {at} |" if letters else " 0)" for at in ("....", letters, "....")]
        lines = ("               |  a() {", f" ! 500.000 us |    {name}();", "   2.000 us    |  }")
        return read("".join(f"{left}{right}\n" for left, right in zip(margin, lines, strict=True)))

    for trace in (text("b"), text("b", letters="....")):
        assert tree(trace) == [("a", -1, 2, -1), ("b", 0, 500, 500)]
        assert trace.calls.has(Flag.SELF_UNKNOWN).tolist() == [True, False]
        assert notices(trace) == {"contradiction": 1}
    for trace in (text("irq_enter_rcu"), text("__sysvec_apic_timer_interrupt"), text("b", letters="d.h.")):
        assert tree(trace)[0] == ("a", -1, 2, 2)
        assert notices(trace) == {"in-tracer": 1}


def test_a_callee_longer_than_its_caller_has_to_be_over_by_the_next_record() -> None:
    assert notices(report("0 0 - a() {", "1 1 500.0 b();", "3 0 2.0 }", "9 0 1.0 c();")) == {"contradiction": 1}


@pytest.mark.parametrize(("stalled", "paired"), [(4, True), (5_900, True), (6_100, False)])
def test_nothing_recorded_since_the_return_is_a_machine_that_stood_still(stalled: int, paired: bool) -> None:
    trace = report("0 0 - f() {", "2 1 1.0 g();", f"{10 + stalled} 0 10.0 }}")
    assert tree(trace)[0] == (("f", -1, 10, 9) if paired else ("f", -1, -1, -1))
    assert notices(trace).get("exit-elsewhere", 0) == (not paired)


@pytest.mark.parametrize(
    ("first", "paired"), [("irq_enter_rcu", True), ("__sysvec_apic_timer_interrupt", True), ("idle_cpu", False)]
)
def test_what_was_recorded_since_the_return_has_to_be_an_interrupt(first: str, paired: bool) -> None:
    trace = report("0 0 - f() {", f"40 1 20.0 {first}();", "62 0 10.0 }")
    assert tree(trace)[0][2] == (10 if paired else -1)


def test_a_callee_that_began_just_before_the_return_and_was_over_by_then_began_inside() -> None:
    # As recorded on 7.2: the machine stood still before the exit's record.
    trace = report("0 0 - f() {", "2 1 0.9 g();", "4 1 0.9 g();", "6 1 0.972 h();", "19 0 7.224 }")
    assert tree(trace)[0] == ("f", -1, 7, 4)
    assert notices(trace) == {}
    assert tree(report("0 0 - f() {", "6 1 3.0 h();", "19 0 7.224 }"))[0] == ("f", -1, -1, -1)


def test_a_callees_record_may_be_late_where_its_callers_exit_is_too() -> None:
    # As recorded on s390x: the callee's entry was written later than it began.
    assert tree(report("0 0 - f() {", "32 1 28.222 g();", "82 0 54.1 }"))[0] == ("f", -1, 54, 25)
    assert tree(report("0 0 - f() {", "37 1 28.222 g();", "82 0 54.1 }"))[0] == ("f", -1, -1, -1)


def test_irq_enter_returns_in_the_interrupt() -> None:
    trace = report("0 0 - irq_enter_rcu() {", "62 0 10.0 }")
    assert tree(trace) == [("irq_enter_rcu", -1, -1, -1), ("?", -1, 10, -1)]


def test_an_exit_that_leaves_calls_open_has_to_agree() -> None:
    open_calls = ("0 0 - f() {", "2 1 - g() {", "3 2 - h() {")
    assert tree(report(*open_calls, "52 1 50.0 }"))[1] == ("g", 0, 50, -1)
    assert tree(report(*open_calls, "82 1 50.0 }"))[1] == ("g", 0, -1, -1)


def test_an_entry_may_be_late() -> None:
    trace = report("0 0 - f() {", "30 1 - g() {", "32 1 25.0 }", "40 0 40.0 }")
    assert tree(trace) == [("f", -1, 40, 15), ("g", 0, 25, 25)]


def test_a_name_at_the_exit_of_a_text_decides_before_the_time_does() -> None:
    named = report("0 0 - f() {", "90000 0 10.0 } /* f */")
    assert tree(named) == [("f", -1, 10, 10)]
    assert tree(report("0 0 - f() {", "90000 0 10.0 } /* g */")) == [("f", -1, -1, -1), ("g", -1, 10, -1)]


def test_a_clock_that_stands_still_judges_no_pair() -> None:
    stood = ("0 0 - f() {", "0 1 40.0 g();", "0 1 20.0 g();", "3500 1 5.0 h();", "3510 0 80.0 }")
    trace = report(*stood)
    assert tree(trace)[0] == ("f", -1, 80, -1)
    moved = ("0 0 - f() {", "2 1 4.0 g();", "9 1 2.0 g();", "3500 1 5.0 h();", "3510 0 80.0 }")
    assert tree(report(*moved))[0] == ("f", -1, -1, -1)


def test_a_clock_that_stood_before_explains_little_and_nothing_that_is_long() -> None:
    def later(apart: int) -> tuple[str, int, int, int]:
        stood = ("0 0 - e() {", "0 1 40.0 g();", "0 1 20.0 g();", "80 0 80.0 }")
        inside = ("90000 0 - f() {", "90002 1 1.0 g();", f"{90010 + apart} 1 1.0 g();")
        trace = report(*stood, *inside, f"{90080 + apart} 0 80.0 }}")
        return next(row for row in tree(trace) if row[0] == "f")

    assert later(90) == ("f", -1, 80, -1)
    assert later(110) == later(4_300) == ("f", -1, -1, -1)


def test_a_clock_stood_still_where_many_short_calls_have_one_time() -> None:
    stood = ("0 0 - f() {", *(f"0 1 1.2{at} g();" for at in range(6)), "90 1 5.0 h();", "100 0 80.0 }")
    assert tree(report(*stood))[0] == ("f", -1, 80, -1)
    moved = ("0 0 - f() {", *(f"0 1 0.4{at} g();" for at in range(6)), "90 1 5.0 h();", "100 0 80.0 }")
    assert tree(report(*moved))[0] == ("f", -1, -1, -1)
    # A line that stands there twice is no clock that stood.
    twice = ("0 0 - f() {", *["0 1 6.1 g();"] * 2, "90 1 5.0 h();", "100 0 80.0 }")
    assert tree(report(*twice))[0] == ("f", -1, -1, -1)


def test_a_record_without_time_does_not_hide_that_times_go_back() -> None:
    trace = read(
        "   1.000500 |   0)    cat-5     |               |  f() {\n"
        "        0)    cat-5     |   1.000 us    |    g();\n"
        "   1.000300 |   0)    cat-5     |   1.000 us    |    h();\n"
    )
    assert trace.calls.start_ns.tolist()[-1] == -1
    assert notices(trace)["contradiction"] == 1


def test_the_exit_of_another_cpus_idle_task_in_a_leafs_line() -> None:
    lines = (
        ("001", "000001", "entry", "", "  f() {"),
        ("000", "000002", "entry", "", "  f() {"),
        ("000", "000003", "entry", "20.000 us", "    g();"),
        ("000", "000005", "exit", "2.100 us", "    }"),
        ("000", "000009", "exit", "7.000 us", "  }"),
    )
    trace = read(
        "".join(
            f"          <idle>-0     [{cpu}]   100.{time}: funcgraph_{kind}: {duration:>15}   |{what}\n"
            for cpu, time, kind, duration, what in lines
        )
    )
    assert sorted(tree(trace)) == [("f", -1, -1, -1), ("f", -1, 7, 4), ("g", 1, 2, 2)]


def test_what_runs_inside_a_leaf_with_another_cpus_exit_stands_behind_it() -> None:
    # As recorded on 6.12: of two CPUs in the same function the one's entry and the other's exit became a leaf.
    lines = (
        ("000", "000002", "entry", "", "  f() {"),
        ("000", "000003", "entry", "20.000 us", "    g();"),
        ("000", "000005", "entry", "", "      h() {"),
        ("000", "000006", "entry", "1.000 us", "        i();"),
        ("000", "000008", "exit", "3.000 us", "      }"),
        ("000", "000009", "entry", "1.000 us", "      h();"),
        ("000", "000012", "exit", "9.100 us", "    }"),
        ("000", "000014", "entry", "1.000 us", "    g();"),
        ("000", "000019", "exit", "17.000 us", "  }"),
    )

    def made(comm: str, pid: int) -> Trace:
        return read(
            "".join(
                f"          {comm}-{pid}     [{cpu}]   100.{time}: funcgraph_{kind}: {duration:>15}   |{what}\n"
                for cpu, time, kind, duration, what in lines
            )
        )

    inside = [("h", 1, 3, 2), ("i", 2, 1, 1), ("h", 1, 1, 1)]
    trace = made("<idle>", 0)
    assert tree(trace) == [("f", -1, 17, 6), ("g", 0, 9, 5), *inside, ("g", 0, 1, 1)]
    assert not trace.calls.has(Flag.DEPTH_JUMP | Flag.NO_ENTRY).any()
    # Of another task such an exit is that of a call whose entry is missing.
    assert tree(made("   cat", 5))[:3] == [("f", -1, 17, -1), ("g", 0, 20, 20), ("?", 0, 9, -1)]


def test_the_first_call_of_a_lane_may_be_such_a_leaf() -> None:
    trace = read(
        "          <idle>-0     [000]   100.000003: funcgraph_entry:       20.000 us   |  g();\n"
        "          <idle>-0     [000]   100.000005: funcgraph_entry:        1.000 us   |    h();\n"
        "          <idle>-0     [000]   100.000008: funcgraph_exit:         5.100 us   |  }\n"
    )
    assert tree(trace) == [("g", -1, 5, 4), ("h", 0, 1, 1)]


@pytest.mark.parametrize(("deeper", "paired"), [(False, True), (True, False)])
def test_an_interrupt_that_may_have_hit_the_call_does_not_explain_a_late_exit(deeper: bool, paired: bool) -> None:
    # As recorded on s390x: the exit's own entry was lost, and so was the mark of that. Beside the call, an
    # interrupt shows that it had returned; deeper and within the rounding of its end it may have hit it before.
    at = 1 + deeper
    lines = ("0 0 - e() {", "2 1 - f() {", f"11 {at} 380.0 irq_enter_rcu();", "400 1 8.0 }")
    assert tree(report(*lines))[1][2] == (8 if paired else -1)
    later = ("0 0 - e() {", "2 1 - f() {", f"13 {at} 380.0 irq_enter_rcu();", "400 1 8.0 }")
    assert tree(report(*later))[1][2] == 8


def test_ticks_and_texts_without_time_pair_by_depth() -> None:
    ticks = read(
        "cat-5 [000]981103560806: funcgraph_entry:        |  f() {\n"
        "cat-5 [000]981109999999: funcgraph_exit:  10.000 us   |  }\n"
    )
    assert tree(ticks) == [("f", -1, 10, 10)]
    assert tree(read(" 0)               |  f() {\n 0) + 10.000 us   |  }\n")) == [("f", -1, 10, 10)]


def test_the_pairs_of_a_text_are_those_that_its_trace_dat_proves() -> None:
    folder = FIXTURES / "traces"
    dat = load(folder / "s390x-true.dat")
    text = read(lzma.decompress((folder / "s390x-true.report-3.1.6.txt.xz").read_bytes()).decode())
    got = compare(dat, text)
    assert (got.n_entries, got.n_proved, got.unmatched) == (18_828, 18_824, 0)
    assert got.wrong == []
    assert got.given_up == got.absent == []
    # The interrupts' records left out: irq_enter_rcu has an exit that is irq_exit_rcu's.
    kept = dat.calls.context == 0
    assert 0 < kept.sum() < len(dat.calls)


def fed(monkeypatch: pytest.MonkeyPatch, n_tasks: int, n_losses: int) -> tuple[int, Any]:
    """(steps, calls) of ``n_tasks`` open calls on one CPU, losses on it, and all of them back at the end."""
    steps = 0

    class Counted(Lanes):
        def _cut(self, *args: Any, **options: Any) -> None:
            nonlocal steps
            steps += 1
            super()._cut(*args, **options)

    monkeypatch.setattr(pairing, "Lanes", Counted)
    pairer = pairing.Pairer()
    kinds = [ENTRY] * n_tasks + [LOSS, ENTRY] * n_losses + [EXIT] * n_tasks
    pids = [*range(10, 10 + n_tasks), *[-1, 5] * n_losses, *range(10, 10 + n_tasks)]
    n = len(kinds)
    batch = RecordBatch.empty(n)
    batch.kind[:], batch.pid[:] = kinds, pids
    batch.func[:], batch.cpu[:], batch.depth[:], batch.context[:] = 1, 0, 0, 0
    batch.time[:] = np.arange(n) * 10
    batch.duration[:] = np.where(batch.kind == EXIT, n * 10, -1)
    batch.calltime[:] = -1
    pairer.feed(batch, n)
    calls = pairer.finish().calls
    calls.check()
    return steps, calls


def test_losses_and_open_calls_cost_their_sum_not_their_product(monkeypatch: pytest.MonkeyPatch) -> None:
    n_tasks, n_losses = 300, 400
    steps, calls = fed(monkeypatch, n_tasks, n_losses)
    assert n_tasks <= steps <= n_tasks + 2 * n_losses
    assert calls.has(Flag.CUT_BY_LOSS).sum() >= n_tasks


def test_a_text_without_tasks_and_cpus_does_not_make_one_up() -> None:
    trace = read("               |  f() {\n   1.000 us    |    g();\n   2.000 us    |  }\n")
    assert [task.label for task in trace.tasks.tasks] == ["?"]
    assert [task.label for task in read(" 3)   1.000 us    |  f();\n").tasks.tasks] == ["cpu 3"]


def test_a_header_behind_records_begins_another_recording() -> None:
    head = "# tracer: function_graph\n#\n# CPU  DURATION                  FUNCTION CALLS\n"
    first = " 0)               |  open_x() {\n 0)               |    lookup_x() {\n 0)   1.000 us    |      hash_x();\n"
    second = " 0)   2.000 us    |      dput_x();\n 0)   7.000 us    |    }\n 0) + 20.000 us   |  }\n"
    trace = read(head + first + head + second)
    assert tree(trace) == [
        ("open_x", -1, -1, -1),
        ("lookup_x", 0, -1, -1),
        ("hash_x", 1, 1, 1),
        ("?", -1, 20, -1),
        ("?", 3, 7, -1),
        ("dput_x", 4, 2, 2),
    ]
    assert notices(trace)["another-recording"] == 1
    assert "another-recording" not in notices(read(head + head + first + second))


def test_a_second_head_of_a_report_begins_another_recording() -> None:
    line = "             cat-5     [000]  100.{}: funcgraph_{}:  {:>12}   |  {}\n"
    entry, leave = line.format("000100", "entry", "", "a() {"), line.format("000110", "exit", "10.000 us", "}")
    assert tree(read("cpus=1\n" + entry + leave)) == [("a", -1, 10, 10)]
    trace = read("cpus=2\n" + entry + "cpus=1\n" + leave)
    assert tree(trace) == [("a", -1, -1, -1), ("?", -1, 10, -1)]
    assert notices(trace)["another-recording"] == 1
    assert trace.meta.n_cpus == 2


def test_the_parts_of_an_interrupt_are_known_by_the_name_of_one() -> None:
    # As in a text of 7.2: __hrtimer_rearm_deferred follows irq_exit_rcu.
    callees = " 0)   1.000 us    |    irq_exit_rcu();\n 0) + 42.600 us   |    b();\n"
    lines = f" 0)               |  a() {{\n{callees} 0)   2.184 us    |  }}\n"
    assert notices(read(lines)) == {"in-tracer": 1}


def test_a_call_whose_callees_lasted_longer_did_not_end_there() -> None:
    # Lines were removed: the exit of `f` and the entry of a short call behind it.
    lines = ("0 0 - e() {", "1 1 - f() {", "2 2 1.2 g();", "4 2 0.9 h();", "6 1 1.5 }", "8 0 8.0 }")
    trace = report(*lines)
    assert tree(trace)[:2] == [("e", -1, 8, -1), ("f", 0, -1, -1)]
    assert [d for name, _, d, _ in tree(trace) if name == "?"] == [1]
    assert notices(trace)["exit-elsewhere"] == 1
    # As long as they lasted is long enough; what one that is unknown took is not known.
    assert tree(report(*lines[:4], "6 1 2.1 }", lines[5]))[1][2] == 2
    assert tree(report(*lines[:3], "4 2 - h() {", "6 1 3.5 }", lines[5]))[1][2] == 3


def test_of_many_callees_too() -> None:
    def trace(n: int) -> Trace:
        return report("0 0 - f() {", *["1 1 0.1 g();"] * n, "5 0 1.5 }")

    assert [tree(trace(n))[0][2] for n in (15, 16, 32)] == [1, -1, -1]


@pytest.mark.parametrize("part", ["irq_enter_rcu", "irq_exit_rcu", "__sysvec_apic_timer_interrupt"])
def test_an_interrupt_in_the_tracer_refutes_nothing(part: str) -> None:
    lines = ("0 0 - f() {", "1 1 1.2 g();", f"3 1 1.0 {part}();", "5 0 1.5 }")
    assert tree(report(*lines))[0][2] == 1
    assert tree(report(lines[0], lines[1], "3 2 1.0 x();", "4 0 2.1 }"))[0][2] == 2


def test_a_clock_that_stood_does_not_save_what_is_refuted() -> None:
    def later(*inside: str) -> int:
        stood = ("0 0 - e() {", "0 1 40.0 g();", "0 1 20.0 g();", "80 0 80.0 }")
        trace = report(*stood, "90000 0 - f() {", *inside, "90090 0 30.0 }")
        return next(row for row in tree(trace) if row[0] == "f")[2]

    assert later("90002 1 10.0 g();", "90070 1 19.0 g();") == 30
    assert later("90002 1 10.0 g();", "90062 1 21.0 g();") == -1
