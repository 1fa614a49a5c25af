"""Where the calls of a page stand in their callers: a number for each node, and what that says into the head."""

from __future__ import annotations

import numpy as np

from kfgraph.analyze.callsites import CallSites
from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.sourcelinks import SourceLinks
from kfgraph.model.spelling import spelt_out
from kfgraph.model.tree import NodeKind
from kfgraph.render.html.pack import Pack


def add_sites(pack: Pack, shown: CallTree, links: SourceLinks | None) -> None:
    """``sites`` of the head: [file and line, or function+0x2e; 1 if it was jumped to; its address, 0: it has none] of
    each; the column ``site``: 0 where none was recorded, else which it is, from 1. Nothing of a trace without any."""
    tree, trace = shown.tree, shown.trace
    if not CallSites.recorded(trace.calls):
        return
    is_single = tree.row >= 0
    if tree.has("kind"):
        is_single &= tree.kind == NodeKind.CALL
    if tree.has("count"):
        is_single &= tree.count == 1
    nodes = np.flatnonzero(is_single)
    sites = CallSites(trace) if links is None else links.sites
    found, which = sites.each(tree.row[nodes])
    if not found:
        return
    number = np.zeros(len(tree), np.int64)
    number[nodes] = which + 1
    pack.column("site", number)
    pack.head["sites"] = [
        [spelt_out(site.place), int(site.jumped), (links.of_site(site) if links is not None else "") or 0]
        for site in found
    ]
