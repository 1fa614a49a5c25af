"""Folded stacks, which flamegraph.pl, inferno and speedscope read: ``task;outer;inner 1234``, in ns, a line a stack."""

from __future__ import annotations

from typing import TextIO

from kfgraph.analyze.weights import Weighted
from kfgraph.errors import Notice
from kfgraph.model.spelling import spelt_out


def write_folded(weighted: Weighted, out: TextIO) -> tuple[Notice, ...]:
    """A line per stack that took time itself; a ``;`` in a name is a ``:``."""
    tree, own = weighted.tree, weighted.own_ns
    names = [spelt_out(label).replace(";", ":") for label in tree.labels]
    path: list[str] = []
    lines: list[str] = []
    for level, label, ns in zip(tree.level.tolist(), tree.label.tolist(), own.tolist(), strict=True):
        del path[level:]
        path.append(names[label])
        if ns > 0:
            lines.append(f"{';'.join(path)} {ns}\n")
            if len(lines) == 10_000:
                out.writelines(lines)
                lines.clear()
    out.writelines(lines)
    return weighted.notices
