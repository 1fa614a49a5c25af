"""Callgrind's profile format, for KCachegrind and callgrind_annotate ("Callgrind Format Specification")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from kfgraph import __version__
from kfgraph.analyze.weights import Weighted
from kfgraph.errors import Notice
from kfgraph.export.callgraph import call_graph
from kfgraph.model.names import split_label
from kfgraph.model.spelling import spelt_out


def write_callgrind(weighted: Weighted, out: TextIO) -> tuple[Notice, ...]:
    """Own time per function, and calls and time per caller and callee, in ns.

    A task is a function that calls its outermost calls. The file of a function is its module, or vmlinux. Where the
    trace has sched_switch, the events are ``oncpu``, ``asleep`` and ``preempted``.
    """


    def costs(values: Iterable[int]) -> str:
        return " ".join(map(str, values))

    graph = call_graph(weighted)
    tree, files = weighted.tree, {"vmlinux": 1}
    out.write(
        f"# callgrind format\nversion: 1\ncreator: kfgraph {__version__}\ncmd: {spelt_out(weighted.about)}\n"
        + "".join(f"desc: Times: {remark}\n" for remark in weighted.remarks)
        + f"positions: line\nevents: {' '.join(weighted.events)}\n"
        + f"summary: {costs(int(values.sum()) for values in weighted.events.values())}\n"
    )
    named: set[int] = set()

    def name(code: int) -> str:
        if code in named:
            return f"({code})"
        named.add(code)
        return f"({code}) {spelt_out(tree.labels[code]) or '?'}"

    def file(code: int) -> str:
        module = split_label(tree.labels[code])[1] or "vmlinux"
        new = module not in files or (module == "vmlinux" and len(named) == 1)
        number = files.setdefault(module, len(files) + 1)
        return f"({number}) {spelt_out(module)}" if new else f"({number})"

    for code in graph.functions.tolist():
        function = name(code)
        out.write(f"\nfl={file(code)}\nfn={function}\n0 {costs(graph.own_events[code].tolist())}\n")
        for callee, n_calls, totals in graph.callees(code):
            called = name(callee)
            out.write(f"cfi={file(callee)}\ncfn={called}\ncalls={n_calls} 0\n0 {costs(totals)}\n")
    return (*weighted.notices, *weighted.doubts)
