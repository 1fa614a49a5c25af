"""An average is rounded in one way, half a nanosecond up, wherever it stands; and so are all times as text."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from builder.tables import Call, call, trace_of
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.syscalls import chosen_calls, summed
from kfgraph.analyze.top import top
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.export.jsonl import write_nodes
from kfgraph.model.units import average_ns, format_ns
from kfgraph.render.blocks import joined, time_block, time_width
from kfgraph.render.syscalls import SystemCallSumsView
from kfgraph.render.top import TopView
from kfgraph.render.tree import tree_view

NAME = "__x64_sys_read"


def of(*times: int) -> Sequence[Call]:
    return [call(NAME, ns) for ns in times]


@pytest.mark.parametrize(
    ("times", "average"), [((2, 3), 3), ((2, 2, 3), 2), ((2, 3, 3), 3), ((1_234, 1_235), 1_235), ((7,), 7)]
)
def test_every_screen_and_export_has_the_same_average(times: Sequence[int], average: int) -> None:
    trace = trace_of(of(*times))
    result = top(trace)
    assert result.numbers.avg_ns.tolist()[:1] == [average]
    merged = call_tree(trace, root=[NAME], merge=True)
    out = io.StringIO()
    write_nodes(merged, out)
    assert [node["avg_ns"] for node in json.loads(out.getvalue())] == [average]
    assert merged.to_pandas()["avg_ns"].tolist() == [average]
    said = f"{average / 1_000:.3f} us"
    lines = [*"".join(tree_view(merged, FoldOptions()).plain()).splitlines(), *map(str, TopView(result).lines(200))]
    rows = [line for line in lines if line.endswith(NAME) and " us " in line]
    assert len(rows) == 2 and all(said in line for line in rows)
    sums = [line.plain for line in SystemCallSumsView(summed(trace, chosen_calls(trace))).lines(200)]
    assert any(format_ns(average) in line for line in sums)


@given(st.integers(0, 10**7), st.integers(1, 1_000))
def test_of_arrays_as_of_numbers(total: int, n: int) -> None:
    assert average_ns(np.array([total]), np.array([n])).tolist() == [average_ns(total, n)]
    assert abs(average_ns(total, n) * n - total) * 2 <= n


@given(st.integers(0, 10**13), st.sampled_from([1, 3]))
@example(12_350, 1)
@example(1_234_500, 3)
@example(999_999_500, 3)
@example(999_950, 1)
def test_a_time_reads_in_a_sentence_as_in_a_column(ns: int, digits: int) -> None:
    column = np.array([ns], np.int64)
    (text,) = joined([time_block(column, digits, time_width(column, digits))])
    if ns < 1_000:
        assert format_ns(ns, digits=digits) == f"{ns} ns"
    else:
        assert format_ns(ns, digits=digits) == text.strip()
