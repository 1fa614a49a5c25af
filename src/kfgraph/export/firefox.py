"""The Firefox Profiler's processed profile, version 47: a thread per task, a sample per stack.

Format: docs-developer/processed-profile-format.md and src/types/profile.js of firefox-devtools/profiler.
"""

from __future__ import annotations

from typing import Any, TextIO

import numpy as np

from kfgraph import __version__
from kfgraph.analyze.forest import Int32
from kfgraph.analyze.weights import Weighted
from kfgraph.errors import Notice
from kfgraph.model.names import split_label
from kfgraph.model.spelling import json_text, spelt_out
from kfgraph.model.tree import NodeKind

VERSION = 47
_OTHER, _KERNEL, _MODULE = 0, 1, 2
_CATEGORIES = [
    {"name": name, "color": colour, "subcategories": ["Other"]}
    for name, colour in (("Other", "grey"), ("Kernel", "orange"), ("Module", "green"))
]
WITHOUT_TASK = "selected calls"
"""The thread of calls that were selected by their function."""


def write_firefox(weighted: Weighted, out: TextIO) -> tuple[Notice, ...]:
    """Samples weigh the own time of their stack, in ms. Stacks are sums of calls: a sample stands behind the one before
    it, not where its calls were in time."""
    tree = weighted.tree
    meta = {
        "interval": 1, "startTime": 0, "processType": 0, "product": spelt_out(weighted.about) or "kfgraph",
        "importedFrom": f"kfgraph {__version__}", "stackwalk": 1, "debug": False, "version": 29,
        "preprocessedProfileVersion": VERSION, "symbolicated": True, "symbolicationNotSupported": True,
        "usesOnlyOneStackType": True, "doesNotUseFrameImplementation": True, "sourceCodeIsNotOnSearchfox": True,
        "categories": _CATEGORIES, "markerSchema": [], "extra": [
            {"label": "Times", "entries": [{"label": "", "format": "string", "value": one} for one in weighted.remarks]}
        ],
    }  # fmt: skip
    out.write(f'{{"meta":{json_text(meta)},"libs":[],"threads":[')
    by_task = tree.has("kind") and bool((tree.kind[tree.roots] == NodeKind.TASK).all())
    if by_task:
        threads = [(tree.labels[tree.label[root]], int(root) + 1, int(tree.end[root])) for root in tree.roots]
    else:
        threads = [(WITHOUT_TASK, 0, len(tree))]
    for number, (name, first, last) in enumerate(threads):
        nodes = np.arange(first, last, dtype=np.int32)
        out.write(("," if number else "") + "\n")
        _write_thread(weighted, nodes, spelt_out(name), number, out)
    out.write("\n]}\n")
    return weighted.notices


def _write_thread(weighted: Weighted, nodes: Int32, name: str, number: int, out: TextIO) -> None:
    """One thread: the nodes, which stand together, as its stacks."""
    tree, n = weighted.tree, len(nodes)
    labels, func = np.unique(tree.label[nodes], return_inverse=True)
    names = [tree.labels[label] for label in labels.tolist()]
    category = np.array([_MODULE if split_label(one)[1] else _KERNEL for one in names], np.int64)
    first = int(nodes[0]) if n else 0
    prefix = [up - first if up >= first else None for up in tree.parent[nodes].tolist()]
    sampled = np.flatnonzero(weighted.own_ns[nodes] > 0)
    own = weighted.own_ns[nodes[sampled]]
    before = (np.cumsum(own) - own) / 1e6
    k = len(labels)

    def column(value: Any, length: int) -> list[Any]:
        return [value] * length

    table: dict[str, Any] = {
        "name": name, "isMainThread": True, "processType": "default", "processName": name,
        "processStartupTime": 0, "processShutdownTime": None, "registerTime": 0, "unregisterTime": None,
        "pausedRanges": [], "pid": str(number), "tid": number,
        "samples": {
            "stack": sampled.tolist(), "time": before.tolist(), "weight": (own / 1e6).tolist(),
            "weightType": "tracing-ms", "length": len(sampled),
        },
        "markers": {"data": [], "name": [], "startTime": [], "endTime": [], "phase": [], "category": [], "length": 0},
        "stackTable": {
            "frame": func.tolist(), "prefix": prefix, "category": category[func].tolist(),
            "subcategory": column(0, n), "length": n,
        },
        "frameTable": {
            "address": column(-1, k), "inlineDepth": column(0, k), "category": category.tolist(),
            "subcategory": column(0, k), "func": list(range(k)), "nativeSymbol": column(None, k),
            "innerWindowID": column(0, k), "implementation": column(None, k), "line": column(None, k),
            "column": column(None, k), "length": k,
        },
        "funcTable": {
            "name": list(range(k)), "isJS": column(False, k), "relevantForJS": column(False, k),
            "resource": column(-1, k), "fileName": column(None, k), "lineNumber": column(None, k),
            "columnNumber": column(None, k), "length": k,
        },
        "resourceTable": {"lib": [], "name": [], "host": [], "type": [], "length": 0},
        "nativeSymbols": {"libIndex": [], "address": [], "name": [], "functionSize": [], "length": 0},
        "stringArray": [spelt_out(one) for one in names],
    }  # fmt: skip
    out.write(json_text(table))
