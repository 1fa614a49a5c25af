"""Call graphs as pictures: Graphviz's dot, and Mermaid's flowcharts. What took little is left out, and counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

import numpy as np

from kfgraph.analyze.forest import Bool
from kfgraph.analyze.weights import Weighted
from kfgraph.errors import Notice, notice
from kfgraph.export.callgraph import CallGraph, call_graph
from kfgraph.model.spelling import spelt_out
from kfgraph.model.units import format_ns, format_share, plural

Least = tuple[int | None, float | None]
"""The least time that is drawn, in ns or as a share of all."""
LEAST: Least = (None, 0.005)
_MERMAID_EDGES = 400
"""Mermaid draws 500 edges at most unless it is told otherwise (its ``maxEdges``)."""


@dataclass(frozen=True, eq=False, repr=False)
class _Pruned:
    graph: CallGraph
    functions: list[int]
    edges: Bool
    total_ns: int
    notices: tuple[Notice, ...]


def _pruned(weighted: Weighted, asked: Least, most_edges: int | None = None) -> _Pruned:
    graph = call_graph(weighted)
    whole = int(weighted.own_ns.sum())
    least = asked[0] if asked[0] is not None else (asked[1] or 0) * whole
    if most_edges is not None and len(graph.edge_ns) > most_edges:
        least = max(least, int(np.sort(graph.edge_ns)[-most_edges - 1]) + 1)
    kept = graph.total_ns >= least
    edges = (graph.edge_ns >= least) & kept[graph.caller] & kept[graph.callee]
    functions = [code for code in graph.functions.tolist() if kept[code]]
    n_functions, n_edges = len(graph.functions) - len(functions), int((~edges).sum())
    notices = []
    if n_functions or n_edges:
        what = f"{plural(n_functions, 'function')} and {plural(n_edges, 'edge')}"
        notices = [notice("export-pruned", what=what, least=format_ns(int(np.ceil(least))))]
    return _Pruned(graph, functions, edges, whole, (*weighted.notices, *notices))


def write_dot(weighted: Weighted, out: TextIO, *, least: Least = LEAST) -> tuple[Notice, ...]:
    """A node per function (attributes ``total_ns``, ``self_ns``, ``calls``; redder with more time), an edge per caller
    and callee (``ns``, ``calls``)."""
    pruned, labels = _pruned(weighted, least), weighted.tree.labels
    graph = pruned.graph
    out.writelines(f"// {remark}\n" for remark in weighted.remarks)
    out.write('digraph kfgraph {\n  node [shape=box, style=filled, fontname="sans-serif"];\n')
    out.write('  edge [fontname="sans-serif"];\n')
    for code in pruned.functions:
        total, own, n_calls = int(graph.total_ns[code]), int(graph.own_ns[code]), int(graph.n_calls[code])
        share = total / pruned.total_ns if pruned.total_ns else 0.0
        name = _dot(spelt_out(labels[code]) or "?")
        lines = [name, f"{format_ns(total)} ({format_share(share)})"]
        if n_calls:
            lines.append(f"self {format_ns(own)}, {plural(n_calls, 'call')}")
        out.write(
            f'  n{code} [label="{_lines(lines)}", tooltip="{name}", total_ns={total}, self_ns={own}, '
            f'calls={n_calls}, fillcolor="0.0 {0.05 + 0.55 * share:.3f} 1.0"];\n'
        )
    for at in np.flatnonzero(pruned.edges).tolist():
        n_calls, ns = int(graph.edge_calls[at]), int(graph.edge_ns[at])
        width = 0.5 + (4 * ns / pruned.total_ns if pruned.total_ns else 0)
        out.write(
            f'  n{int(graph.caller[at])} -> n{int(graph.callee[at])} [label="{format_ns(ns)}\\n{n_calls:,}×", ns={ns}, '
            f"calls={n_calls}, penwidth={width:.2f}];\n"
        )
    out.write("}\n")
    return pruned.notices


def _dot(text: str) -> str:
    """A text within quotation marks of the dot language."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _lines(lines: list[str]) -> str:
    return "\\n".join(lines)


def write_mermaid(weighted: Weighted, out: TextIO, *, least: Least = LEAST) -> tuple[Notice, ...]:
    """A flowchart; the numbers in ns stand in comments beside what they are of."""
    pruned, labels = _pruned(weighted, least, _MERMAID_EDGES if least is LEAST else None), weighted.tree.labels
    graph = pruned.graph
    out.write("flowchart TD\n")
    out.writelines(f"  %% {remark}\n" for remark in weighted.remarks)
    for code in pruned.functions:
        total, own, n_calls = int(graph.total_ns[code]), int(graph.own_ns[code]), int(graph.n_calls[code])
        out.write(f"  %% n{code}: total_ns={total} self_ns={own} calls={n_calls}\n")
        out.write(f'  n{code}["{_mermaid(spelt_out(labels[code]) or "?")}<br/>{format_ns(total)}"]\n')
    for at in np.flatnonzero(pruned.edges).tolist():
        caller, callee = int(graph.caller[at]), int(graph.callee[at])
        n_calls, ns = int(graph.edge_calls[at]), int(graph.edge_ns[at])
        out.write(f"  %% n{caller} n{callee}: ns={ns} calls={n_calls}\n")
        out.write(f'  n{caller} -->|"{format_ns(ns)}, {n_calls:,}×"| n{callee}\n')
    return pruned.notices


def _mermaid(text: str) -> str:
    """A text within quotation marks of Mermaid: all but letters, digits and a few signs as an entity."""
    return "".join(c if c.isalnum() or c in "_.-/:+ ()[]" else f"#{ord(c)};" for c in text)
