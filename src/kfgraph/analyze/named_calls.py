"""The calls that were asked for by name (``--calls-to``): how many of them a folded tree leaves out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kfgraph.analyze.forest import Bool
from kfgraph.analyze.sibling_groups import Gathered
from kfgraph.analyze.visibility import FoldOptions, ways_to
from kfgraph.model.tree import TreeTable


class Named(NamedTuple):
    """The calls that ``calls_to`` asks for: how many there are, how many of them are on no row; ``least_depth`` is the
    least level of those that only a limit of depth hides (-1: none), ``most_depth`` the deepest. ``n_rows`` would show
    all of them, ``n_merged_rows`` would with calls of one path in one row."""

    n: int = 0
    n_hidden: int = 0
    least_depth: int = -1
    most_depth: int = -1
    n_rows: int = 0
    n_merged_rows: int = 0


NONE_NAMED = Named()


def named_in(
    tree: TreeTable, named: Bool, options: FoldOptions, visible: Bool, gathered: Gathered | None
) -> Named:
    """What there is of the nodes that were asked for by name, where these nodes (``gathered``) show."""
    nodes = np.flatnonzero(named)
    now = nodes if gathered is None else gathered.node_of[nodes]
    hidden = nodes[~visible[now]]
    levels = tree.level[hidden]
    deep = levels[levels > options.depth] if options.depth is not None else levels[:0]
    whole = tree if gathered is None else gathered.tree
    held = np.zeros(len(whole), np.bool_)
    held[now] = True
    return Named(
        int(tree.at("count", nodes).sum()),
        int(tree.at("count", hidden).sum()),
        int(deep.min(initial=np.iinfo(np.int16).max)) if len(deep) else -1,
        int(deep.max(initial=-1)),
        int(ways_to(tree, named).sum()),
        int(ways_to(whole, held).sum()),
    )
