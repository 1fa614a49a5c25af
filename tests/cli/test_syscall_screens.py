"""kfgraph syscalls: what never ended has no time, a name is whole, and what is left out is counted, at any width."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rich.cells import cell_len

import kfgraph
from kfgraph.analyze.syscalls import chosen_calls, summed
from kfgraph.render.explorer.lists import functions
from kfgraph.render.syscalls import SystemCallSumsView, SystemCallsView
from kfgraph.render.top import TopView
from running import kfgraph as run

CAT = Path(__file__).parents[2] / "examples" / "cat-enoent.dat"
NODUR = Path(__file__).parents[1] / "fixtures" / "cases" / "nodur.txt"


@pytest.fixture(scope="module")
def cat() -> kfgraph.Trace:
    return kfgraph.load(CAT)


def test_the_time_of_a_call_that_never_ended_is_unknown(cat: kfgraph.Trace) -> None:
    (one,) = [one for one in summed(cat, chosen_calls(cat)) if one.name == "exit_group"]
    assert (one.n_calls, one.n_finished, one.total_ns, one.max_ns) == (1, 0, -1, -1)
    records = map(json.loads, run("syscalls", str(CAT), "-c", "--json")[1].splitlines())
    told = {record["name"]: record for record in records}
    assert (told["exit_group"]["total_ns"], told["exit_group"]["max_ns"]) == (None, None)
    frame = cat.syscalls().sums().to_pandas().set_index("name")
    assert frame.loc["exit_group", ["total_ns", "max_ns"]].isna().all()
    row = [line.plain for line in SystemCallSumsView([one]).lines(120)][1]
    assert row.split()[:4] == ["?", "?", "1", "?"]


@pytest.mark.parametrize("width", [60, 70, 80, 120, 200])
def test_names_of_system_calls_are_whole_and_shares_never_nothing(cat: kfgraph.Trace, width: int) -> None:
    sums = summed(cat, chosen_calls(cat))
    head, *lines = [line.plain for line in SystemCallSumsView(sums).lines(width)]
    assert max(map(cell_len, (head, *lines))) <= width and head.split("  ")[-1].startswith("system call")
    for one, line in zip(sums, lines, strict=False):
        name, _, behind = re.split(r" {2}(?=\S+(?:  \(|$))", line)[-1].partition("  (")
        assert name == one.name and (not behind or re.fullmatch(r"\S{8,} \d+%\)", behind))
        assert " 0.0%" not in line
    assert (width < 120) or all("  (" in line for line in lines[: len(sums)])


def test_what_a_summary_leaves_out_is_counted(cat: kfgraph.Trace) -> None:
    sums = summed(cat, chosen_calls(cat))
    *_, last = [line.plain for line in SystemCallSumsView(sums, 3).lines(120)]
    rest = sum(max(one.total_ns, 0) for one in sums[3:]) / sum(max(one.total_ns, 0) for one in sums)
    assert last == f"… {len(sums) - 3} more rows, {rest:.1%} of the time (--limit 0)"
    assert last in run("syscalls", str(CAT), "-c", "--limit", "3")[1]
    assert not any("more row" in line.plain for line in SystemCallSumsView(sums).lines(120))


@pytest.mark.parametrize("width", [40, 60, 70, 80, 120])
def test_the_file_of_a_failed_call_is_whole_on_narrow_screens(cat: kfgraph.Trace, width: int) -> None:
    calls = chosen_calls(cat)
    lines = [line.plain for line in SystemCallsView(cat, calls).lines(width)]
    (failed,) = [line for line in lines if "-ENOENT" in line and "openat" in line]
    has_start = "0.165638" in failed
    assert has_start == (width >= 70) and ("start times: not at this width (--json)" in lines) != has_start
    assert width < 60 or 'openat("/nonexistent"' in failed
    assert width < 60 or max(map(cell_len, lines)) <= width


def test_no_order_is_proposed_that_knows_nothing() -> None:
    nothing = [line.plain for line in TopView(kfgraph.top(kfgraph.load(NODUR))).lines(120)]
    assert nothing[0] == "4 functions, 4 calls, self times unknown"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_line_of_the_explorer_s_list_is_about_its_function_however_long_the_summary_is(width: int) -> None:
    trace = kfgraph.load(CAT)
    rows = [(text.plain, target) for text, target in functions(trace, {})(width)]
    named = [(text, target) for text, target in rows if target != -1]
    assert len(named) == len(kfgraph.top(trace, limit=None))
    assert "\n" not in "".join(text for text, _ in rows)
    assert named[0][0].endswith("queued_spin_lock_slowpath") and named[0][1] == "queued_spin_lock_slowpath"
