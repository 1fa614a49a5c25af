"""The least that calls took together is one number on the screen, in JSON and in pandas."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import kfgraph
from builder.tables import call, trace_of
from kfgraph.analyze.callers import callers
from kfgraph.analyze.calltree import CallTree, call_tree
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.export.jsonl import write_nodes
from kfgraph.model.units import format_ns
from kfgraph.render.tree import tree_view

CUT = Path(__file__).parents[1] / "fixtures" / "traces" / "cut"


def nodes(tree: CallTree) -> list[dict[str, object]]:
    out = io.StringIO()
    write_nodes(tree, out)
    return list(json.loads(out.getvalue()))


def test_a_sum_with_an_unfinished_call_has_the_least_beside_it() -> None:
    last = call("f", 1, call("g", 400), call("h", 1, unfinished=True), unfinished=True)
    trace = trace_of([call("f", 10, call("g", 5)), call("f", 20), last])
    tree = call_tree(trace, root=["f"], merge=True)
    told = {node["function"]: node for node in nodes(tree)}
    assert {name: (node["total_ns"], node["at_least_ns"]) for name, node in told.items()} == {
        "f": (35, 435), "g": (405, 405), "h": (None, None),
    }  # fmt: skip
    assert list(told["f"])[7:10] == ["total_ns", "at_least_ns", "self_ns"]
    frame = tree.to_pandas().set_index("function")
    assert frame["at_least_ns"].fillna(-1).to_dict() == {"f": 435, "g": 405, "h": -1}
    assert "≥  0.435 us" in "".join(tree_view(tree, FoldOptions()).plain())
    whole = call_tree(trace_of([call("f", 10, call("g", 5))]), merge=True)
    assert not any("at_least_ns" in node for node in nodes(whole))
    assert "at_least_ns" not in whole.to_pandas()


def test_every_bound_on_the_screen_of_a_real_trace_is_in_json() -> None:
    trace = kfgraph.load(CUT / "i386-lossy.dat")
    for tree in (call_tree(trace, merge=True), callers(trace, "*")):
        shown = "".join(tree_view(tree, FoldOptions(max_rows=None, max_roots=None)).plain())
        bounds = sorted(re.findall(r"≥\s*([\d.,]+ \w+)", shown))
        said = nodes(tree)
        open_ = [node for node in said if node["total_ns"] is None or node["n_unfinished"]]
        least = sorted(format_ns(int(str(node["at_least_ns"]))) for node in open_ if node["at_least_ns"])
        assert bounds == least
        assert all(node["at_least_ns"] == node["total_ns"] for node in said if node not in open_)
        frame = tree.to_pandas()
        assert frame["at_least_ns"].astype(object).where(frame["at_least_ns"].notna(), None).tolist() == [
            node["at_least_ns"] for node in said
        ]
    assert len(bounds) > 0
