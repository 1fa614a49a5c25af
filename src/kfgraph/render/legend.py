"""The legend of a tree: what the marks mean that stand on its rows at this width, and of no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kfgraph.analyze.tree_rows import Kind
from kfgraph.kernel.returns import error_name
from kfgraph.model.arrays import distinct
from kfgraph.model.calls import Flag
from kfgraph.model.units import format_ns
from kfgraph.render import blocks
from kfgraph.render.estimates import ESTIMATE
from kfgraph.render.rowmodel import FLAG_MARKS, RowModel

if TYPE_CHECKING:
    from kfgraph.analyze.calltree import CallTree

AT_LEAST = "≥ at least: what is known of its callees"
_LOOKED_AT = 1_000
"""So many rows with a flag are looked at for one that shows its mark; of more, one is taken to."""


def legend(shown: CallTree, model: RowModel) -> tuple[list[str], list[str]]:
    """(what the marks of times and of the way mean, what those of calls mean), a mark each."""
    folded, tree = model.folded, model.folded.tree
    is_call = folded.kind == Kind.CALL
    calls = folded.node[is_call]
    has_total = "total" in model.layout.names
    total, unknown = model.totals(slice(None))
    steps = set(distinct(blocks.scale_of(total)).tolist()) if has_total else set()
    scale = [
        f"{mark} over {format_ns(limit, digits=0)}"
        for step, (limit, mark) in enumerate(reversed(blocks.SCALE), 1)
        if step in steps
    ]
    if (folded.hot & is_call & (folded.level > 0)).any():
        scale.append("▸ most of the time came from here" if shown.of_callers else "▸ slowest callee")
    flags = int(np.bitwise_or.reduce(tree.flags[calls]))
    said = [
        f"{mark} {_meaning(shown, flag, words)}"
        for flag, mark, words in FLAG_MARKS
        if flags & flag and _stands(model, flag)
    ]
    if has_total and (unknown & (total >= 0)).any():
        said.append(AT_LEAST)
    if tree.has("tracer_ns") and {"total", "self", "avg"} & set(model.layout.names):
        within = ", within ±" if "uncertain" in model.layout.names else ""
        said.append(f"{ESTIMATE} estimate{within}: less what tracing took")
    if has_total and (folded.kind == Kind.OWN_COST).any():
        said.append("≤ at most: in no time and no share above it")
    if tree.has("error"):
        errors, sure = tree.error[calls], tree.error_sure[calls]
        if (sure & (errors != 0)).any():
            said.append("= -N NAME the error that the call returned")
        unsure = {bool(error_name(error, sure=False)) for error in distinct(errors[(errors != 0) & ~sure]).tolist()}
        if unsure:
            forms = " or ".join(form for form, named in (("= -N NAME?", True), ("= -N", False)) if named in unsure)
            said.append(f"{forms} looks like an error: what the function returns is not known")
    return scale, said


def _stands(model: RowModel, flag: Flag) -> bool:
    """Whether the mark of ``flag`` stands on a row."""
    folded = model.folded
    having = np.flatnonzero((folded.kind == Kind.CALL) & ((folded.tree.flags[folded.node] & np.uint32(flag)) != 0))
    if model.layout.room is None or len(having) > _LOOKED_AT:
        return True
    return any(map(model.is_flagged, having.tolist()))


def _meaning(shown: CallTree, flag: Flag, meaning: str) -> str:
    """What a mark means in this trace."""
    trace = shown.trace
    if flag is not Flag.NO_EXIT or not trace.n_unprinted:
        return meaning
    return "its duration was not printed" + (
        ", or its exit not recorded" if trace.n_unfinished > trace.n_unprinted else ""
    )
