"""The numbers of top against an independent slow twin, and the laws that they keep."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kfgraph
from builder.tables import call, deep, trace_of, traces, wide
from kfgraph.analyze import aggregate, hotpath
from kfgraph.analyze import paths as path_numbers
from kfgraph.analyze.hotpath import path_hashes
from kfgraph.analyze.owncost import LABEL
from kfgraph.analyze.select import select
from kfgraph.analyze.top import BY, COLUMNS, CORE_KERNEL, NUMBERS, UNKNOWN_MODULE, WAITING_ROW, Top, top
from kfgraph.errors import NoMatchError
from kfgraph.kernel.waiting import AROUND_SWITCHING, SWITCHING
from kfgraph.model.calls import Flag
from kfgraph.model.companion import Companion, ReturnProbe
from kfgraph.model.trace import Trace


def waiting(trace: Trace) -> frozenset[str]:
    """The names of the functions that wait, one call at a time."""
    calls = trace.calls
    label = [trace.symbols.label(code) for code in calls.func.tolist()]
    away = {int(calls.parent[row]) for row in range(len(calls)) if label[row] == "rcu_note_context_switch"}
    some = [row for row in range(len(calls)) if label[row] == "__cond_resched"]
    own = [(row in away, max(int(calls.self_ns[row]), 0)) for row in some]
    mostly_away = 2 * sum(ns for is_away, ns in own if is_away) > sum(ns for _, ns in own)
    return SWITCHING | {"__cond_resched"} if mostly_away else SWITCHING


def label_of(trace: Trace, row: int, group: str, waits: frozenset[str]) -> str:
    label = trace.symbols.label(int(trace.calls.func[row]))
    if group == "function":
        return label
    if label == "?" or label.startswith("0x"):
        return UNKNOWN_MODULE
    if label in waits:
        return WAITING_ROW
    return label.split("[")[1].rstrip("]") if "[" in label else CORE_KERNEL


def ancestors(trace: Trace, row: int) -> list[int]:
    found = []
    while (row := int(trace.calls.parent[row])) >= 0:
        found.append(row)
    return found


def interrupts_apart(trace: Trace) -> set[int]:
    """The calls in interrupts, where others are not."""
    hit = trace.calls.has(Flag.INTERRUPT)
    found = {row for row in range(len(trace.calls)) if any(hit[r] for r in (row, *ancestors(trace, row)))}
    return found if len(found) < len(trace.calls) else set()


Key = str | tuple[str, str]


def slow_twin(trace: Trace, group: str = "function") -> dict[Key, dict[str, int]]:
    """What each row of top must say, one call at a time: of a function, in interrupts or not."""
    calls, apart, waits = trace.calls, interrupts_apart(trace), waiting(trace)

    def key_of(row: int) -> Key:
        label = label_of(trace, row, group, waits)
        # No interrupt waits.
        return ("interrupt", CORE_KERNEL if label == WAITING_ROW else label) if row in apart else label

    rows = defaultdict(list)
    for row in range(len(calls)):
        rows[key_of(row)].append(row)
    expected = {}
    for label, mine in rows.items():
        own = [int(calls.self_ns[r]) for r in mine if calls.self_ns[r] >= 0]
        durations = sorted(int(calls.duration_ns[r]) for r in mine if calls.duration_ns[r] >= 0)
        outer = [
            int(calls.duration_ns[r])
            for r in mine
            if calls.duration_ns[r] >= 0
            and not any(key_of(a) == label and calls.duration_ns[a] >= 0 for a in ancestors(trace, r))
        ]
        n = len(durations)
        expected[label] = {
            "n_calls": len(mine),
            "n_unfinished": len(mine) - n,
            "self_ns": sum(own) if own else -1,
            "total_ns": sum(outer) if outer else -1,
            "avg_ns": (2 * sum(durations) + n) // (2 * n) if n else -1,
            **{f"p{p}_ns": durations[math.ceil(p * n / 100) - 1] if n else -1 for p in (50, 95, 99)},
            "max_ns": durations[-1] if n else -1,
            "n_errors": -1,
        }
    return expected


def numbers(result: Top) -> dict[Key, dict[str, int]]:
    return {
        (("interrupt", label) if i >= result.n_work and kind == "interrupt" else label): {
            name: int(getattr(result.numbers, name)[i]) for name in NUMBERS
        }
        for i, (label, kind) in enumerate(zip(result.labels, result.kinds, strict=True))
    }


# Of many calls a key each key is looked at by itself, of few all durations are sorted.
OF_EVERY_TRACE = [by for by in BY if COLUMNS[by] in NUMBERS]
WAYS = (aggregate.MANY, 0)


@given(traces(), st.sampled_from(["function", "module"]), st.sampled_from(OF_EVERY_TRACE), st.sampled_from(WAYS))
@settings(max_examples=200, deadline=None)
def test_every_number_equals_the_slow_twins(trace, group, by, many) -> None:
    with patch.object(aggregate, "MANY", many):
        assert numbers(top(trace, group=group, by=by)) == slow_twin(trace, group)


@pytest.mark.parametrize("name", ["insmod-fail19.dat", "insmod-lossy.report.txt.xz"])
@pytest.mark.parametrize("group", ["function", "module"])
@pytest.mark.parametrize("many", WAYS)
def test_real_traces_equal_the_slow_twin(name, group, many, repository, monkeypatch) -> None:
    monkeypatch.setattr(aggregate, "MANY", many)
    # The twin knows nothing of what probes cost, and of what they tell.
    trace = replace(kfgraph.load(repository / "examples" / name), probed=frozenset())
    trace = replace(trace, calls=trace.calls.with_columns(retval=None))
    assert numbers(top(trace, group=group)) == slow_twin(trace, group)


@given(traces(), st.sampled_from([1, 2, 3]))
@settings(max_examples=100, deadline=None)
def test_a_selection_taken_in_pieces_has_the_same_paths(trace, piece) -> None:
    chosen = ("alpha", "beta", "gamma")
    if not any(name in chosen for name in (trace.symbols.label(code) for code in trace.calls.func.tolist())):
        return
    named = [name for name in chosen if name in {trace.symbols.label(code) for code in trace.calls.func.tolist()}]
    whole = top(trace, root=named, n_paths=10_000)
    with patch.object(path_numbers, "_PART", piece), patch.object(hotpath, "_LEAST_BITS", 1):
        pieces = top(trace, root=named, n_paths=10_000)
    assert pieces.hot_paths == whole.hot_paths
    apart = pieces.interrupt_ns if pieces.n_interrupt_rows else 0
    assert sum(path.self_ns for path in pieces.hot_paths) == pieces.self_ns - apart


def test_large_real_traces_count_every_call(shared_traces) -> None:
    paths = [path for path in sorted(shared_traces.glob("*/*.dat")) if path.stat().st_size < 3_000_000]
    assert len(paths) > 5
    for path in paths:
        trace = replace(kfgraph.load(path), probed=frozenset())
        result = top(trace, all_tasks=True, pre_exec=True)
        counted = Counter(trace.symbols.label(code) for code in trace.calls.func.tolist())
        n_calls: Counter[str] = Counter()
        for label, n in zip(result.labels, result.numbers.n_calls.tolist(), strict=True):
            n_calls[label] += n
        assert n_calls == counted, path
        known = trace.calls.self_ns[trace.calls.self_ns > 0]
        assert result.self_ns + result.waiting_ns == int(known.sum()), path
        shares = result.self_share
        assert float(shares[shares > 0].sum()) == pytest.approx(1 if result.self_ns else 0), path
        paths = top(trace, n_paths=1 << 20, all_tasks=True, pre_exec=True)
        apart = result.interrupt_ns if result.n_interrupt_rows else 0
        assert sum(p.self_ns for p in paths.hot_paths) == result.self_ns - apart, path
        assert sum(p.self_ns for p in paths.waiting_paths) == result.waiting_ns, path


@given(traces())
@settings(max_examples=100, deadline=None)
def test_what_is_conserved(trace) -> None:
    result = top(trace)
    calls = trace.calls
    assert result.n_calls == int(result.numbers.n_calls.sum()) == len(calls)
    assert result.n_unfinished == int(result.numbers.n_unfinished.sum()) == trace.n_unfinished
    assert result.self_ns == int(calls.self_ns[calls.self_ns >= 0].sum())
    shares = result.self_share
    assert float(shares[shares >= 0].sum()) == pytest.approx(1.0 if result.self_ns else 0.0)
    assert (result.numbers.total_ns <= calls.duration_ns[calls.duration_ns > 0].sum()).all()
    finished = result.numbers.max_ns >= 0
    for low, high in (("p50_ns", "p95_ns"), ("p95_ns", "p99_ns"), ("p99_ns", "max_ns"), ("avg_ns", "max_ns")):
        assert (getattr(result.numbers, low)[finished] <= getattr(result.numbers, high)[finished]).all()
    assert (result.numbers.self_ns <= np.maximum(result.numbers.total_ns, 0))[result.numbers.n_unfinished == 0].all()


@given(traces(), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_hot_paths_equal_the_slow_twins(trace, limit) -> None:
    calls = trace.calls
    sums: dict[tuple[str, ...], list[int]] = {}
    for row in sorted(set(range(len(calls))) - interrupts_apart(trace)):
        chain_of = tuple(label_of(trace, r, "function", SWITCHING) for r in (*reversed(ancestors(trace, row)), row))
        entry = sums.setdefault(chain_of, [0, 0])
        entry[0] += 1
        entry[1] += max(int(calls.self_ns[row]), 0)
    expected = sorted(((p, n, ns) for p, (n, ns) in sums.items() if ns), key=lambda found: -found[2])[:limit]
    got = top(trace, n_paths=limit).hot_paths
    assert [(p.path, p.n_calls, p.self_ns) for p in got] == expected
    assert all(p.self_share == pytest.approx(p.self_ns / top(trace).self_ns) for p in got)


@given(traces())
@settings(max_examples=100, deadline=None)
def test_paths_are_told_apart(trace) -> None:
    hashes = path_hashes(select(trace), trace.calls.func).tolist()
    by_chain = [tuple(trace.calls.func[r] for r in (*ancestors(trace, row), row)) for row in range(len(trace.calls))]
    assert len(set(hashes)) == len({(len(c), c) for c in by_chain})


def test_a_recursion_counts_its_outermost_call_once() -> None:
    trace = trace_of([call("f", 10, call("f", 20, call("g", 5, call("f", 1)))), call("f", 4)])
    assert numbers(top(trace))["f"] == {
        "n_calls": 4, "n_unfinished": 0, "self_ns": 35, "total_ns": 40, "avg_ns": 17,
        "p50_ns": 4, "p95_ns": 36, "p99_ns": 36, "max_ns": 36, "n_errors": -1,
    }  # fmt: skip


def test_an_unfinished_outer_call_hides_no_finished_inner_one() -> None:
    trace = trace_of([call("f", 10, call("f", 20), call("g", 7), unfinished=True)])
    f = numbers(top(trace))["f"]
    assert (f["n_calls"], f["n_unfinished"], f["total_ns"], f["self_ns"], f["max_ns"]) == (2, 1, 20, 20, 20)


def test_a_function_that_never_finished_has_no_times() -> None:
    result = top(trace_of([call("f", 10, call("g", 7), unfinished=True)]))
    assert result.labels == ("g", "f")
    row = result.records()[1]
    assert row == {
        "function": "f", "module": "", "kind": "work", "n_calls": 1, "n_unfinished": 1,
        "self_ns": None, "total_ns": None,
        "avg_ns": None, "p50_ns": None, "p95_ns": None, "p99_ns": None, "max_ns": None, "n_errors": None,
    }  # fmt: skip
    assert result.n_self_unknown == 1


def test_no_irq_takes_the_interrupt_and_its_time_and_leaves_self_alone() -> None:
    trace = trace_of([call("f", 10, call("handler", 30, call("g", 2), context=2), call("g", 5))])
    with_irq, without = numbers(top(trace)), numbers(top(trace, no_irq=True))
    assert with_irq["f"]["total_ns"] == 47 and without["f"]["total_ns"] == 15
    assert with_irq["f"]["self_ns"] == without["f"]["self_ns"] == 10
    assert "handler" not in without and without["g"]["n_calls"] == 1 and without["f"]["max_ns"] == 15


def test_paths_begin_at_the_selected_root() -> None:
    trace = trace_of([call("a", 1, call("b", 2, call("c", 30))), call("b", 3, call("c", 50))])
    result = top(trace, root=["b"])
    assert [(p.path, p.n_calls, p.self_ns) for p in result.hot_paths] == [(("b", "c"), 2, 80), (("b",), 2, 5)]
    assert result.self_ns == 85 and result.hot_paths[0].self_share == pytest.approx(80 / 85)


def test_modules_are_told_from_the_core_kernel_and_from_the_unknown() -> None:
    trace = trace_of([call("f", 1, call("x [m]", 2, call("f", 3), call("y [m]", 4))), call("0xffffffffc0a9d01f", 9)])
    result = top(trace, group="module")
    assert result.labels == (UNKNOWN_MODULE, "m", CORE_KERNEL)
    assert result.modules == (None, "m", "")
    assert numbers(result)["m"]["total_ns"] == 9, "y inside x is time that x has already"
    assert numbers(result)[CORE_KERNEL] == slow_twin(trace, "module")[CORE_KERNEL]
    assert list(result.to_dict())[-3:] == ["modules", "hot_paths", "waiting_paths"]


def test_sorting_puts_the_largest_first_and_the_unknown_last() -> None:
    trace = trace_of([call("a", 5), call("b", 9), call("a", 6), call("c", 1, unfinished=True), call("d", 11)])
    assert top(trace, by="self").labels == ("a", "d", "b", "c")
    assert top(trace, by="calls").labels == ("a", "d", "b", "c")
    assert top(trace, by="avg").labels == ("d", "b", "a", "c")
    assert top(trace, by="max").labels == ("d", "b", "a", "c")
    with pytest.raises(ValueError, match="by is one of"):
        top(trace, by="nothing")  # type: ignore[arg-type]


def test_limit_cuts_rows_and_not_the_sums() -> None:
    trace = trace_of([call("a", 5), call("b", 9), call("c", 1)])
    whole, cut = top(trace), top(trace, limit=1)
    assert cut.labels == whole.labels[:1] and (cut.n_rows, len(cut)) == (3, 1)
    assert cut.self_ns == whole.self_ns == 15 and cut.self_share[0] == pytest.approx(9 / 15)
    assert len(top(trace, limit=0)) == 0


def test_a_trace_without_calls_gives_an_empty_table() -> None:
    result = top(trace_of([]))
    assert (len(result), result.n_calls, result.self_ns, result.hot_paths) == (0, 0, 0, ())
    assert result.to_dict()["functions"] == [] and len(result.to_pandas()) == 0


def test_depth_and_width_need_no_recursion() -> None:
    tall = top(deep(5_000))
    assert tall.self_ns == 5_000 and numbers(tall)["f1"]["total_ns"] == 4_999
    assert len(tall.hot_paths[0].path) in range(1, 5_001)
    broad = top(wide(100_000))
    assert numbers(broad)["leaf"] == {
        "n_calls": 100_000, "n_unfinished": 0, "self_ns": 700_000, "total_ns": 700_000, "avg_ns": 7,
        "p50_ns": 7, "p95_ns": 7, "p99_ns": 7, "max_ns": 7, "n_errors": -1,
    }  # fmt: skip
    assert broad.hot_paths[0].path == ("root", "leaf")


def test_sums_beyond_what_a_double_holds_exactly() -> None:
    big = (1 << 53) + 1
    trace = trace_of([call("f", big), call("f", 2), call("g", 1)])
    assert numbers(top(trace))["f"]["self_ns"] == big + 2


def test_durations_too_long_to_share_a_word_with_the_key() -> None:
    longest = 1 << 62
    trace = trace_of([call("f", 3), call("g", longest), call("h", 5), call("g", 1)])
    assert numbers(top(trace)) == slow_twin(trace)


def test_to_pandas_says_what_the_json_says() -> None:
    trace = trace_of([call("f", 10, call("g [m]", 7), unfinished=True), call("0xffffffffc0a9d01f", 3), call("", 1)])
    result = top(trace)
    frame = result.to_pandas()
    assert list(frame.columns) == ["function", "module", "kind", *NUMBERS, "self_share"]
    as_json = result.records()
    for i, row in enumerate(as_json):
        for name, value in row.items():
            cell = frame[name].iloc[i]
            assert pd.isna(cell) if value is None else cell == value
    assert frame["self_share"].sum() == pytest.approx(1.0)
    assert frame["function"].isna().sum() == 1 and frame["module"].isna().sum() == 2


def test_no_match_is_said_by_the_selection() -> None:
    with pytest.raises(NoMatchError, match="alphq"):
        top(trace_of([call("alpha")]), root=["alphq"])


def test_kfgraphs_own_cost_is_in_no_number_and_a_last_row_where_it_is_asked_for() -> None:
    load = call("load_module", 60, call("blocking_notifier_call_chain", 900, call("down_read", 40)), call("check", 50))
    built = trace_of([load, load, call("load_module", 10, call("blocking_notifier_call_chain", 100))])
    trace = replace(built, companion=Companion(probes=(ReturnProbe("kfgraph", "f", "f", "foo"),)))
    plain = top(trace)
    assert numbers(plain)["blocking_notifier_call_chain"] == {
        "n_calls": 3, "n_unfinished": 0, "self_ns": 0, "total_ns": 80, "avg_ns": 27, "p50_ns": 40, "p95_ns": 40,
        "p99_ns": 40, "max_ns": 40, "n_errors": -1,
    }  # fmt: skip
    assert (plain.self_ns, numbers(plain)["load_module"]["total_ns"]) == (310, 310)
    assert plain.labels[0] == plain.hot_paths[0].path[-1] == "load_module"
    assert sum(path.self_ns for path in plain.hot_paths) == 310
    assert plain.to_dict()["own_cost"] == {"n_calls": 3, "n_unknown": 0, "at_most_ns": 1_900}
    assert top(built).to_dict()["own_cost"] == {"n_calls": 0, "n_unknown": 0, "at_most_ns": 0}
    assert top(built, own_cost=True).labels == top(built).labels

    for group, name in (("function", {"function": LABEL, "module": None}), ("module", {"module": LABEL})):
        shown = top(trace, own_cost=True, group=group, limit=1)
        assert shown.labels == (top(trace, group=group).labels[0], LABEL)
        assert shown.n_rows == top(trace, group=group).n_rows
        assert shown.records()[-1] == name | {
            "kind": "kfgraph", "n_calls": 3, "n_unfinished": 0,
            "self_ns": 1_900, "total_ns": 1_900, "avg_ns": 633, "p50_ns": 900,
            "p95_ns": 900, "p99_ns": 900, "max_ns": 900, "n_errors": None,
        }  # fmt: skip
        assert shown.self_share[-1] == -1
        assert shown.to_pandas()["self_share"].isna().tolist() == [False, True]
    assert top(trace, own_cost=True).self_share[:-1].sum() == pytest.approx(1)


def test_an_own_cost_that_is_not_known_is_none() -> None:
    load = call("load_module", 60, call("blocking_notifier_call_chain", 900, call("down_read", unfinished=True)))
    probe = ReturnProbe("kfgraph", "f", "f", "foo")
    trace = replace(trace_of([load]), companion=Companion(probes=(probe,)))
    shown = top(trace, own_cost=True)
    assert shown.to_dict()["own_cost"] == {"n_calls": 1, "n_unknown": 1, "at_most_ns": 0}
    assert shown.records()[-1] == {
        "function": LABEL, "module": None, "kind": "kfgraph", "n_calls": 1, "n_unfinished": 0,
        "self_ns": None, "total_ns": None,
        "avg_ns": None, "p50_ns": None, "p95_ns": None, "p99_ns": None, "max_ns": None, "n_errors": None,
    }  # fmt: skip
    assert numbers(shown)["load_module"]["total_ns"] == -1


def test_errors_are_counted_by_function_and_unknown_is_no_zero() -> None:
    failing = (1 << 64) - 2
    opens = [
        call("__x64_sys_openat", 5, call("path_openat", retval=value), retval=value) for value in (failing, 3, failing)
    ]
    trace = trace_of([*opens, call("nobody_knows"), call("__x64_sys_read", retval=0)])
    found = numbers(top(trace))
    assert {name: row["n_errors"] for name, row in found.items()} == {
        "__x64_sys_openat": 2, "path_openat": 2, "nobody_knows": -1, "__x64_sys_read": 0
    }  # fmt: skip
    by_errors = top(trace, by="errors")
    assert by_errors.labels[-1] == "nobody_knows"
    assert [row["n_errors"] for row in by_errors.records()] == [2, 2, 0, None]


@pytest.mark.parametrize("group", ["function", "module"])
def test_waiting_is_in_no_share_and_after_all_work(group) -> None:
    nap = call("do_nanosleep", 5, call("schedule", 900, call("update_curr", 2)))
    own = call("own", 40, call("schedule [own]", 7), call("schedule.isra.0", 100))
    result = top(trace_of([nap, own]), group=group, limit=1)
    assert result.self_ns == 5 + 2 + 40 + 7
    assert result.waiting_ns == 1000
    last = {"function": ("schedule", "schedule.isra.0"), "module": ("[waiting]",)}[group]
    assert result.labels == ({"function": "own", "module": "[kernel]"}[group], *last)
    assert result.kinds == ("work", *["waiting"] * len(last))
    assert result.self_share.tolist() == [pytest.approx({"function": 40, "module": 47}[group] / 54), *[-1] * len(last)]
    assert [(path.path[-1], path.self_ns) for path in result.waiting_paths] == [
        ("schedule", 900),
        ("schedule.isra.0", 100),
    ]
    assert [path.path[-1] for path in result.hot_paths] == ["own", "schedule [own]", "do_nanosleep", "update_curr"]
    assert [(row["kind"], row["self_ns"]) for row in result.records()][1:] == (
        [("waiting", 900), ("waiting", 100)] if group == "function" else [("waiting", 1000)]
    )
    told = result.to_dict()
    assert told["waiting_ns"] == 1000 and told["waiting_paths"][0]["n_calls"] == 1


@pytest.mark.parametrize("by", ["self", "total", "avg", "max", "calls"])
def test_schedule_heads_no_table(by) -> None:
    trace = trace_of([call("work", 1, call("schedule", 10_000)), *[call("schedule", 5)] * 9])
    assert top(trace, by=by).labels == ("work", "schedule")


def test_what_may_give_the_cpu_away_waits_where_most_of_its_time_was_in_calls_that_did() -> None:
    """Real ones: 2,583 of 2,625 ms of __cond_resched were in 1,452 of 26,345 calls (Linux 6.1, ls)."""
    at_once = [call("__cond_resched", 10)] * 9
    away = call("__cond_resched", 900, call("rcu_note_context_switch", 3), call("pick_next_task_fair", 5))
    result = top(trace_of([call("work", 1, *at_once, away)]))
    assert [*zip(result.labels, result.kinds, strict=True)][-1] == ("__cond_resched", "waiting")
    assert (result.waiting_ns, result.self_ns) == (990, 1 + 3 + 5)
    assert result.waiting_paths[0].path == ("work", "__cond_resched")
    short = call("__cond_resched", 89, call("rcu_note_context_switch", 3))
    mostly_work = top(trace_of([*at_once, short]))
    assert (mostly_work.waiting_ns, mostly_work.self_ns) == (0, 90 + 89 + 3)
    # A task was preempted in it: that makes no other function one that waits.
    preempted = top(trace_of([call("work", 900, call("rcu_note_context_switch", 3))]))
    assert preempted.waiting_ns == 0


def test_a_function_that_only_calls_schedule_works() -> None:
    """Where schedule was recorded; where it was not, the time asleep is in its caller's own."""
    assert {"schedule_timeout", "io_schedule"} <= AROUND_SWITCHING
    nap = call("schedule_timeout", 5, call("schedule", 900))
    assert top(trace_of([nap])).labels == ("schedule_timeout", "schedule")
    assert top(trace_of([nap])).kinds == ("work", "waiting")
    assert top(trace_of([call("schedule_timeout", 905), call("f", 1)])).kinds == ("work", "waiting")
    halt = call("do_idle", 700, call("schedule_idle", 30))
    assert top(trace_of([halt])).waiting_ns == 730
    assert top(trace_of([call("do_idle", 7, call("default_idle", 30))])).waiting_ns == 30
