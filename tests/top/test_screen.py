"""What a person reads of top: golden screens of a real insmod, and rules for every width.

``PYTHONPATH=tests python tests/top/test_screen.py`` writes the golden files anew; look at what changed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

import kfgraph
from builder.tables import call, trace_of, traces
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.render.top import TopView, chain_lines

GOLDEN = Path(__file__).parent / "golden"
EXAMPLES = Path(__file__).parents[2] / "examples"
WIDTHS = (60, 100, 160)
SCREENS = {
    f"{name}-{width}.txt": (trace, options, width)
    for name, (trace, options) in {
        "insmod-fail19": ("insmod-fail19.dat", {}),
        "insmod-lossy-total": ("insmod-lossy.report.txt.xz", {"by": "total"}),
        "cat-enoent-modules": ("cat-enoent.dat", {"group": "module"}),
    }.items()
    for width in WIDTHS
}


def screen(trace: Trace, width: int, *, limit: int | None = 12, **options: object) -> str:
    out = StringIO()
    Console(file=out, width=width, highlight=False, markup=False).print(
        TopView(kfgraph.top(trace, n_paths=3, **options), limit=limit)
    )
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


@pytest.mark.parametrize("name", SCREENS)
def test_golden(name) -> None:
    trace, options, width = SCREENS[name]
    assert screen(kfgraph.load(EXAMPLES / trace), width, **options) == (GOLDEN / name).read_text()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_kfgraphs_own_cost_is_a_line_or_the_last_row(width) -> None:
    trace = kfgraph.load(EXAMPLES / "insmod-foo-fail19.dat")
    plain = screen(trace, width)
    said = "kfgraph: setting return probes took ≤ 602.915 ms in 2 calls, in no row and no share (--own-cost)"
    assert said in " ".join(plain.split())
    assert "blocking_notifier" not in plain
    lines = screen(trace, width, own_cost=True).splitlines()
    (row,) = [line for line in lines if "≤" in line]
    assert row.split()[:4] == ["2", "≤", "602.915", "ms"]
    assert "%" not in row
    assert "█" not in row
    assert sum(line.startswith("… 345 more functions, ") for line in lines) == 1
    assert "⚡ " in lines[lines.index(row) - 1]
    assert "≤ ?" in screen(lossy(trace), width)


def lossy(trace: Trace) -> Trace:
    """With the self time of a notifier call unknown."""
    calls = trace.calls
    rows = calls.func == trace.symbols.names.index("blocking_notifier_call_chain")
    flags = np.where(rows, calls.flags | Flag.SELF_UNKNOWN, calls.flags).astype(np.uint32)
    unknown = replace(trace, calls=calls.with_columns(self_ns=np.where(rows, -1, calls.self_ns), flags=flags))
    unknown.check()
    return unknown


@given(traces(), st.integers(60, 200), st.sampled_from(["self", "total", "max"]))
@settings(max_examples=60, deadline=None)
def test_the_table_fits_names_the_columns_it_leaves_out_and_counts_the_rows(trace, width, by) -> None:
    view = TopView(kfgraph.top(trace, by=by), limit=3)
    n = min(3, view.result.n_rows)
    lines = [line.plain for line in view.lines(width)]
    at = len(view.summary(width))
    assert all(cell_len(line) <= width for line in lines[: at + 1 + n])
    columns = lines[at].split()
    assert by in columns and columns[-1] == "function"
    absent = {"calls", "self", "share", "total", "avg", "p50", "p95", "p99", "max"} - {*columns}
    note = next((line for line in lines if "not at this width" in line), "")
    assert {*note.split(": ")[0].split(", ")} - {"", "unfinished"} == absent
    more = view.result.n_rows - n
    assert any(line.startswith(f"… {more} more function") for line in lines) == (more > 0)


def test_shares_on_the_screen_and_hidden_add_up() -> None:
    trace = trace_of([call(f"f{i}", 10 * (i + 1)) for i in range(30)])
    text = screen(trace, 100, limit=5)
    shown = [float(share) for share in re.findall(r"(\d+\.\d)%", text.split("Hot paths")[0])]
    assert len(shown) == 6 and sum(shown) == pytest.approx(100, abs=0.3)
    assert "25 more functions" in text


def test_what_is_not_known_is_said() -> None:
    trace = trace_of([call("f", 10, call("g", 7), call("h", 3, unfinished=True)), call("f", 10)])
    text = screen(trace, 160)
    assert "1 call never ended: counted, their time is unknown\n" in text
    assert "1 call with records missing inside: their self time is unknown\n" in text
    h = next(line for line in text.splitlines() if line.endswith("h"))
    assert h.split() == ["1", "1", "?", "?", "?", "?", "?", "?", "?", "h"]


def test_a_trace_of_exits_alone_says_that_self_times_are_unknown() -> None:
    trace = trace_of([call("f", 10), call("g", 7)])
    unknown = np.full(2, Flag.NO_ENTRY | Flag.SELF_UNKNOWN, np.uint32)
    trace = replace(trace, calls=trace.calls.with_columns(self_ns=np.full(2, -1), flags=unknown))
    text = screen(trace, 100)
    assert text.startswith("2 functions, 2 calls, self times unknown (--by total sorts by what is known)\n")
    assert "2 calls with records missing inside: their self time is unknown\n" in text
    assert "Hot paths" not in text


def test_hostile_names_are_spelt_out_and_never_markup() -> None:
    text = screen(trace_of([call("\x1b[2J[bold]f", 5, call("nft_do_chain [nf_tables]"))]), 160)
    assert "\x1b" not in text
    assert "\\x1b[2J[bold]f" in text and "nft_do_chain [nf_tables]" in text


@given(st.lists(st.text("abc_", min_size=1, max_size=30), min_size=1, max_size=60), st.integers(20, 120))
@settings(max_examples=200, deadline=None)
def test_a_chain_fits_keeps_its_ends_and_counts_what_it_leaves_out(names, width) -> None:
    lines = chain_lines(names, width)
    assert len(lines) <= 3 and all(cell_len(line) <= width for line in lines)
    tokens = " ".join(lines).split(" → ")
    cut = [int(n) for token in tokens if (n := "".join(re.findall(r"^… (\d+) more …$", token)))]
    assert len(tokens) + sum(n - 1 for n in cut) == len(names) or len(tokens) == 1
    assert tokens[-1] == names[-1] or "…" in tokens[-1]


def test_of_a_chain_that_fits_in_no_way_the_end_is_left() -> None:
    assert chain_lines(["alpha", "beta", "gamma"], 8, n_lines=1) == ["gamma"]
    assert chain_lines(["alpha", "beta", "gamma_is_longer"], 8, n_lines=1) == ["gamm…ger"]
    assert chain_lines(["alpha", "beta", "gamma"], 60, n_lines=1) == ["alpha → beta → gamma"]
    assert chain_lines([*"abcdefghijklmnop"], 26, n_lines=1) == ["a → … 13 more … → o → p"]


@pytest.mark.parametrize("width", [60, 100])
def test_waiting_is_said_and_stands_below_the_work(width) -> None:
    trace = trace_of([call("work", 2_000, call("schedule", 90_000, call("inner", 1_000)))])
    lines = screen(trace, width).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("calls"))
    assert " ".join(lines[:at]) == "3 functions, 3 calls, 3.000 us of self time, by self; 90.000 us waiting"
    rows = [line.split() for line in lines[at + 1 : at + 4]]
    assert [row[-1] for row in rows[:2]] == ["work", "inner"]
    assert rows[2][-2:] == ["schedule", "(waiting)"]
    assert "%" not in " ".join(rows[2])
    at = lines.index("Where it waited, by the self time of the last function")
    assert lines[at + 2].strip() == "work → schedule"
    assert lines[at + 1].split()[0] == "100.0%"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for file, (trace, options, width) in SCREENS.items():
        (GOLDEN / file).write_text(screen(kfgraph.load(EXAMPLES / trace), width, **options))
