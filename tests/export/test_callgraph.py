"""The merged tree as a graph of functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from kfgraph.analyze.weights import weighted
from kfgraph.export.callgraph import call_graph
from kfgraph.parse import load

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize(("example", "expected_inner"), [("insmod-fail19.dat", 1), ("cat-enoent.dat", 117)])
def test_a_total_counts_the_outermost_calls_of_a_recursion(example, expected_inner) -> None:
    tree, _ = weighted(load(EXAMPLES / example))
    graph, table = call_graph(tree), tree.tree
    expected, n_inner = [0] * len(table.labels), 0
    path: list[int] = []
    for level, label, total in zip(
        table.level.tolist(), table.label.tolist(), tree.total_ns.tolist(), strict=True
    ):  # fmt: skip
        del path[level:]
        if label in path:
            n_inner += 1
        else:
            expected[label] += total
        path.append(label)
    assert n_inner == expected_inner
    assert graph.total_ns.tolist() == expected
