#!/usr/bin/env python3
"""The Python API in one page: python examples/report.py [TRACE [FUNCTION]]."""

import sys
from pathlib import Path

import anytree

import kfgraph

path = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "insmod-fail19.dat"
function = sys.argv[2] if len(sys.argv) > 2 else "do_init_module"

trace = kfgraph.load(path)
print(trace)

# Where the time below one function went, as a DataFrame.
top = kfgraph.top(trace, root=[function], limit=5)
print(top.to_pandas()[["function", "n_calls", "self_ns", "total_ns", "self_share"]].to_string(index=False))

# The same calls merged into one tree of anytree nodes, three levels of it, slowest first.
(root,) = kfgraph.to_anytree(kfgraph.call_tree(trace, root=[function], merge=True))
for lead, _, node in anytree.RenderTree(root, maxlevel=3):
    share = node.total_ns / root.total_ns if node.total_ns and root.total_ns else 0
    if share >= 0.01:
        print(f"{share:7.1%}  {lead}{node.name} ×{node.n_calls}")

# Every call as a row: the slowest single call of each function.
calls = kfgraph.to_pandas(trace, root=[function])
print(calls.groupby("function", observed=True)["duration_ns"].max().nlargest(5))
