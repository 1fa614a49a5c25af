"""The legend explains the marks that stand on the screen, at every width, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kfgraph
from builder.tables import call, trace_of, traces
from kfgraph.analyze.callers import callers
from kfgraph.analyze.calltree import CallTree, call_tree
from kfgraph.analyze.fold import Kind
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.model.calls import Flag
from kfgraph.render.legend import legend
from kfgraph.render.rowmodel import FLAG_MARKS
from kfgraph.render.tree import TreeView, tree_view
from show.test_what_stays import failing

CUT = Path(__file__).parents[1] / "fixtures" / "traces" / "cut"
ALL = FoldOptions(max_rows=None, max_roots=None, repeats=False)
SCALE = {"+": "10 us", "!": "100 us", "#": "1 ms", "*": "10 ms", "@": "100 ms", "$": "1 s"}


def explained(view: TreeView) -> list[str]:
    """The sentences of the legend, which stand below the rows."""
    said = [words for part in legend(view.call_tree, view.model) for words in part]
    assert " ".join(" ".join(view.legend()).split()) == " ".join(said)
    return said


def standing(view: TreeView) -> set[str]:
    """What the marks that stand on the rows would be explained by, from the text of the rows alone."""
    model, folded, found = view.model, view.folded, set()
    first, last = model.span("total")
    for at, numbers in enumerate(model.numbers(0, len(view))):
        line, kind = model.line(at), folded.kind[at]
        scale, bound = numbers[first:last][:1], numbers[first:last][1:2]
        found |= {f"{scale} over {SCALE[scale]}"} if scale in SCALE else set()
        found |= {"≥ at least"} if bound == "≥" else {"≤ at most"} if bound == "≤" else set()
        if kind != Kind.CALL:
            continue
        found |= {"▸ "} if "▸" in line.guides + line.hot else set()
        marks = re.match(r"(?: × [\d,]+)?(?:  avg [\d.]+ \w+)?(?: \(waiting\))? ([?<%^!>~]+)(?: |,|$)", line.note)
        found |= {f"{mark} {words}" for _, mark, words in FLAG_MARKS if marks and mark in marks[1]}
        error = re.search(r" = -\d+( [A-Z0-9]+)?(\??)", line.note)
        if error:
            found.add("= -N NAME the" if error[1] and not error[2] else "= -N NAME?" if error[1] else "= -N")
    return found


def check(view: TreeView) -> None:
    said = explained(view)
    wanted = standing(view)
    looks = [words for words in said if "looks like an error" in words]
    forms = {form for form in ("= -N NAME?", "= -N") if form in wanted}
    assert [set(words.partition(" looks")[0].split(" or ")) for words in looks] == ([forms] if forms else [])
    rest = {words for words in said if words not in looks}
    for mark in wanted - forms:
        assert any(words.startswith(mark) for words in rest), (mark, view.width)
    for words in rest:
        assert any(words.startswith(mark) for mark in wanted), (words, view.width)


@given(traces(), st.sampled_from([8, 20, 30, 40, 60, 100, None]), st.booleans(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_legend_is_of_the_rows(trace: kfgraph.Trace, width: int | None, merge: bool, everything: bool) -> None:
    if len(trace.calls):
        check(tree_view(call_tree(trace, merge=merge), ALL if everything else FoldOptions(max_rows=5), width=width))


@pytest.mark.parametrize("name", ["i386-lossy.dat", "6.1-probes.dat", "7.2-retval.dat"])
def test_of_real_traces_too(name: str) -> None:
    trace = kfgraph.load(CUT / name)
    trees: list[CallTree] = [call_tree(trace), call_tree(trace, merge=True), callers(trace, "*")]
    for tree in trees:
        for width in (24, 40, 60, 100, None):
            check(tree_view(tree, FoldOptions(), width=width))


def test_of_one_row_nothing_is_the_slowest_callee() -> None:
    view = tree_view(call_tree(trace_of([call("f", 5)]), root=["f"]), FoldOptions())
    assert explained(view) == []


def test_at_least_is_explained_where_the_least_is_known() -> None:
    for child, said in (([], []), ([call("g", 5)], ["≥ at least: what is known of its callees"])):
        trace = trace_of([call("f", 5, *child, unfinished=True)])
        view = tree_view(call_tree(trace, root=["f"]), ALL)
        assert [words for words in explained(view) if words.startswith("≥")] == said
        # No column for it.
        narrow = tree_view(call_tree(trace, root=["f"]), ALL, width=8)
        assert "total" in narrow.model.layout.names or not [w for w in explained(narrow) if w.startswith("≥")]


def test_a_mark_that_has_no_room_is_not_explained() -> None:
    trace = trace_of([call("f" * 40, 5, unfinished=True)])
    shown = {}
    for width in (100, 30):
        view = tree_view(call_tree(trace, root=["f*"]), FoldOptions(), width=width)
        shown[width] = any(words.startswith("? not finished") for words in explained(view))
        assert shown[width] == view.model.line(0).note.startswith(" ?")
    assert shown[100]


def test_only_the_form_of_an_error_that_stands_there_is_explained() -> None:
    for values, form in (({"f": -22}, "= -N NAME?"), ({"f": -1}, "= -N"), ({"f": -22, "g": -1}, "= -N NAME? or = -N")):
        tree = call_tree(failing(call("f", 5, call("g", 5)), values=values), root=["f"])
        said = [words for words in explained(tree_view(tree, ALL)) if "looks like" in words]
        assert said == [f"{form} looks like an error: what the function returns is not known"]


def test_the_marks_of_rows_that_are_sums_of_others_are_explained() -> None:
    trace = trace_of([call("root", 5, *(call(f"f{i}", 9_000) for i in range(40)))])
    view = tree_view(call_tree(trace, root=["root"]), FoldOptions(max_rows=3))
    assert any(kind == Kind.REST for kind in view.folded.kind) and np.any(view.folded.hidden_ns > 100_000)
    assert "! over 100 us" in explained(view)


def test_a_flag_of_many_rows_is_explained() -> None:
    trace = trace_of([call("root", 5, *(call("leaf", 1, unfinished=True) for _ in range(1_500)))])
    assert int((trace.calls.flags & np.uint32(Flag.NO_EXIT) != 0).sum()) == 1_500
    assert any(words.startswith("? not finished") for words in explained(tree_view(call_tree(trace), ALL, width=60)))
