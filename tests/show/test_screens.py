"""What show prints: golden screens at 60, 100 and 160 columns, and what holds for every screen.

``KFGRAPH_GOLDEN=1 pytest tests/show/test_screens.py`` writes the golden files anew: look at the diff.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

import kfgraph
from builder.busy import busy
from builder.tables import call, deep, trace_of, traces, wide
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.tree_rows import Kind, LossDetail
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.model.trace import Trace
from kfgraph.model.units import format_ns
from kfgraph.render.blocks import joined, share_block
from kfgraph.render.details import loss_text
from kfgraph.render.tree import TreeView, tree_view

GOLDEN = Path(__file__).parent / "golden"
ALL = FoldOptions(max_rows=None, max_roots=None, repeats=False)

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tasks": ({}, {"options": FoldOptions(max_rows=24)}),
    "root": ({"root": ["load_module"], "nth": 1}, {"options": FoldOptions(max_rows=12)}),
    "matches": ({"root": ["load_module", "do_exit"]}, {"options": FoldOptions(max_rows=12, open_roots="one")}),
    "merge": ({"root": ["load_module"], "merge": True}, {"options": FoldOptions(min_ns=10_000, max_rows=None)}),
    "depth": ({"hide": ["do_*"]}, {"options": FoldOptions(depth=2, max_rows=None), "start": True}),
    "all": ({}, {"options": ALL, "events": ["*"]}),
}


def view(trace: Trace, case: str, width: int | None) -> TreeView:
    what, how = CASES[case]
    return tree_view(call_tree(trace, **what), **how, width=width)


def plain(shown: TreeView) -> str:
    return "".join(shown.plain())


@pytest.mark.parametrize("width", [60, 100, 160])
@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, width: int) -> None:
    text = plain(view(busy(), case, width))
    path = GOLDEN / f"{case}-{width}.txt"
    if os.environ.get("KFGRAPH_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [60, 72, 80, 100, 160])
@pytest.mark.parametrize("case", CASES)
def test_no_line_is_wider_than_the_terminal(case: str, width: int) -> None:
    for line in plain(view(busy(), case, width)).splitlines():
        assert cell_len(line) <= width, line


@settings(max_examples=100, deadline=None)
@given(traces(), st.sampled_from([None, 60, 80, 160]), st.booleans(), st.booleans())
def test_styled_and_fast_lines_say_the_same(trace: Trace, width: int | None, everything: bool, start: bool) -> None:
    options = ALL if everything else FoldOptions(max_rows=12)
    shown = tree_view(call_tree(trace), options, width=width, start=start)
    slow = "".join("".join(text for text, _ in pieces) + "\n" for pieces in shown.lines())
    assert plain(shown) == slow
    console = Console(color_system=None, width=width or 500)
    assert "".join(shown.styled(console)) == slow


def test_all_prints_every_call_in_order() -> None:
    trace = busy()
    names = [trace.symbols.label(int(code)) for code in trace.calls.func]
    lines = plain(view(trace, "all", None)).splitlines()
    said = [re.sub(r"^.*?(?:│ )*(?:├▸|├ )(?=\S)", "", line) for line in lines if re.search("├▸|├ ", line)]
    said = [re.sub(r"( \(waiting\))?( [?%^]+)?$", "", text) for text in said]
    assert [text for text in said if text in set(names)] == names


def test_losses_stand_where_they_happened() -> None:
    shown = view(busy(), "all", None)
    lines = plain(shown).splitlines()
    at = next(i for i, line in enumerate(lines) if "!! ≥ 1,159 records lost (2 places, CPU 0)" in line)
    assert "free_module %" in lines[at - 1]
    assert "kernfs_remove_by_name_ns" in lines[at + 1]
    lost = next(i for i, line in enumerate(lines) if "12 records lost" in line)
    assert "__sysvec_apic_timer_interrupt" in lines[lost - 1]
    assert "hrtimer_interrupt" in lines[lost + 1]
    folded = view(busy(), "matches", None).folded
    assert (int((folded.kind == Kind.LOSS).sum()), int(folded.hidden_losses.sum())) == (0, 3)
    assert "free_module % … 24 calls, 2 losses" in plain(view(busy(), "matches", None))


def test_what_is_known_of_a_loss_is_said_and_no_more() -> None:
    assert loss_text([7]) == "!! 7 records lost"
    assert loss_text([-1]) == "!! records lost, not counted"
    assert loss_text([-1, -1]) == "!! records lost, not counted (2 places)"
    assert loss_text([1, -1]) == "!! ≥ 1 record lost (2 places)"
    assert loss_text([1, 2]) == "!! 3 records lost (2 places)"
    assert loss_text([5], [999_000], [0]) == "!! 5 records lost (999.000 us, CPU 0)"
    assert loss_text([1, 2], [2_000, 3_000], [1, 0]) == "!! 3 records lost (2 places, 5.000 us, CPU 0, 1)"
    assert loss_text([1, -1], [-1, 3_000], [-1, -1]) == "!! ≥ 1 record lost (2 places, ≥ 3.000 us)"
    assert loss_text([-1], [-1], [2]) == "!! records lost, not counted (CPU 2)"


def test_every_loss_inside_the_tree_is_shown_or_counted() -> None:
    trace = busy()
    for case in ("tasks", "root", "all"):
        folded = view(trace, case, 100).folded
        shown = sum(len(detail.counts) for detail in folded.details if isinstance(detail, LossDetail))
        assert shown + int(folded.hidden_losses.sum()) == 3, case


def test_events_show_where_they_happened_or_are_counted() -> None:
    text = plain(view(busy(), "all", None))
    assert "· sys_enter_finit_module: fd: 0x3, uargs: 0x55" in text
    assert "· module_free: \\x1b[31mred" in text
    assert "\x1b" not in text
    assert "3 other events not shown: -e '*' shows them" in plain(view(busy(), "tasks", 100))
    one = tree_view(call_tree(busy(), root=["load_module"]), ALL, events=["module_*"])
    assert one.n_events_hidden == 0
    none = tree_view(call_tree(busy(), root=["do_exit"]), ALL, events=["module_*"])
    assert "no module_* event happened in these calls" in plain(none)


def test_a_full_place_counts_its_further_events() -> None:
    trace = busy()
    marks = trace.marks
    many = np.zeros(109, np.int64)
    repeated = type(marks)(
        marks.time_ns[many], marks.lane[many], marks.cpu[many], marks.name[many], marks.row[many], marks.parent[many],
        marks.names, ["x"] * 109,
    )  # fmt: skip
    crowded = Trace(trace.calls, trace.symbols, trace.tasks, marks=repeated, meta=trace.meta)
    shown = tree_view(call_tree(crowded), FoldOptions(), events=["*"])
    assert plain(shown).count("· sys_enter_finit_module: x") == 99
    assert "· … 10 more sys_enter_finit_module events (--all)" in plain(shown)
    assert shown.n_events_hidden == 0


def test_flags_have_a_legend_only_where_one_is_shown() -> None:
    assert "? not finished" in plain(view(busy(), "tasks", 100))
    assert "% records were lost inside" in plain(view(busy(), "tasks", 100))
    quiet = plain(tree_view(call_tree(trace_of([call("a", 5)])), FoldOptions()))
    assert "not finished" not in quiet
    assert "lost" not in quiet


@pytest.mark.parametrize(
    "name",
    [
        "[bold]nft_do_chain [nf_tables]", "\x1b[2J\x1b]0;title\x07", "a\nb\rc", "\u202egnp.exe", "日本語の関数名", "",
        "[/] [m]", "x" * 500,
    ],
)
@pytest.mark.parametrize("width", [60, None])
def test_odd_names_stay_on_their_line(name: str, width: int | None) -> None:
    trace = trace_of([call("root", 5, call(name, 7))])
    for everything in (True, False):
        shown = tree_view(call_tree(trace), ALL if everything else FoldOptions(), width=width)
        text = plain(shown)
        assert len(text.splitlines()) == len(shown) + 2
        assert not set(text) & set("\x1b\x07\r\u202e")
        printed = io.StringIO()
        Console(width=500, color_system=None, file=printed).print(shown)
        if "[" in name and "\x1b" not in name:
            assert name in printed.getvalue()


def test_colours_are_optional_and_the_scale_reads_without() -> None:
    shown = view(busy(), "tasks", 100)
    bare = Console(color_system="standard", no_color=True, force_terminal=True, width=100)
    coloured = Console(color_system="standard", no_color=False, force_terminal=True, width=100)
    assert "\x1b[31m" in "".join(shown.styled(coloured)) or "\x1b[1;31m" in "".join(shown.styled(coloured))
    assert not any(f"\x1b[{code}m" in "".join(shown.styled(bare)) for code in ("31", "1;31", "32", "35", "36"))
    assert "$   1.406 s" in plain(shown)


@pytest.mark.parametrize("trace", [trace_of(), trace_of([call("one", 5)])], ids=["empty", "one call"])
def test_the_smallest_traces(trace: Trace) -> None:
    shown = tree_view(call_tree(trace), FoldOptions(), width=60)
    assert plain(shown).splitlines()[0].endswith("function")
    assert len(shown) == 2 * len(trace.calls)


@pytest.mark.parametrize("trace", [deep(5_000), wide(100_000)], ids=["deep", "wide"])
@pytest.mark.parametrize("width", [60, None])
def test_deep_and_wide_trees_print_one_line_a_call(trace: Trace, width: int | None) -> None:
    text = plain(tree_view(call_tree(trace), ALL, width=width))
    lines = text.splitlines()
    assert len(lines) >= len(trace.calls) + 2
    assert max(map(len, lines)) <= (width or 400)


def test_real_traces_fit_every_width(shared_traces: Path) -> None:
    trace = kfgraph.load(str(shared_traces / "7.2-retval" / "open-enoent.dat"))
    for width in (60, 80, 160):
        shown = tree_view(call_tree(trace), FoldOptions(), width=width)
        # A command to type is not broken.
        lines = [line for line in plain(shown).splitlines() if not line.startswith("  kfgraph errors ")]
        assert max(map(cell_len, lines)) <= width
        assert len(shown) <= 80
        assert shown.folded.n_shown + shown.folded.n_hidden == len(trace.calls)


def test_a_share_above_999_percent_keeps_its_head() -> None:
    shares = np.array([-1.0, 0.0, 0.0004, 0.123, 1.0, 9.999, 9.9996, 10.0, 250.0, 1e9])
    assert joined([share_block(shares)]) == [
        "      ", "  0.0%", " <0.1%", " 12.3%", "100.0%", "999.9%", " >999%", " >999%", " >999%", " >999%",
    ]  # fmt: skip


@pytest.mark.parametrize("root", [None, "f"])
@pytest.mark.parametrize(("n", "option"), [(20, "--max-rows 0"), (150, "--max-rows 300"), (400, "--max-rows 800")])
def test_roots_that_are_not_shown_are_counted_with_what_shows_them(n: int, option: str, root: str | None) -> None:
    trace = trace_of(*[[call("f", 1_000 * (n - i), call("g", 100, call("h", 5)))] for i in range(n)])
    shown = tree_view(
        call_tree(trace, **({"root": [root]} if root else {})), FoldOptions(max_rows=12, max_roots=6), width=160
    )
    (row,) = [line for line in plain(shown).splitlines() if "… " in line and " more " in line]
    time = sum(1_000 * (n - i) + 105 for i in range(6, n))
    said = f"… {n - 6} more {'matches' if root else 'tasks'}, {3 * (n - 6):,} calls, {format_ns(time)} ({option})"
    assert row.endswith(said), row
    folded = shown.folded
    assert folded.n_hidden == 3 * n - folded.n_shown and folded.n_shown == (12 if root else 6)
    assert f", {option} lists all" in plain(shown)
