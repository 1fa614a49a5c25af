"""kfgraph: strace for the inside of the kernel.

The public API, each name imported when first used::

    trace = kfgraph.load("trace.dat")                       # Trace
    kfgraph.top(trace, root="load_module").to_pandas()      # where the time went, by function
    tree = kfgraph.call_tree(trace, root="load_module")     # CallTree
    print(tree)                                             # as kfgraph show prints it
    tree.to_pandas()                                        # one row per node
    kfgraph.to_anytree(tree)                                # its roots as anytree nodes
    kfgraph.to_pandas(trace, task="insmod")                 # one row per call
    kfgraph.info(trace).to_dict()                           # kernel, clock, tasks, losses, notices

Failures that are to be expected are :class:`kfgraph.errors.KfgraphError`. See docs/api.md.
"""

# Nothing is imported here: what Ctrl-C meets before the first line of __main__.py is Python's to answer.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from kfgraph.analyze.calltree import call_tree as call_tree
    from kfgraph.analyze.convert import to_anytree as to_anytree
    from kfgraph.analyze.convert import to_pandas as to_pandas
    from kfgraph.analyze.info import info as info
    from kfgraph.analyze.top import top as top
    from kfgraph.cli.app import main as main
    from kfgraph.errors import KfgraphError as KfgraphError
    from kfgraph.model.calls import Flag as Flag
    from kfgraph.model.trace import Trace as Trace
    from kfgraph.parse import load as load
    from kfgraph.render.text import to_text as to_text

__version__ = "0.1.0"

_WHERE = {
    "Flag": "kfgraph.model.calls",
    "KfgraphError": "kfgraph.errors",
    "Trace": "kfgraph.model.trace",
    "call_tree": "kfgraph.analyze.calltree",
    "info": "kfgraph.analyze.info",
    "load": "kfgraph.parse",
    "main": "kfgraph.cli.app",
    "to_anytree": "kfgraph.analyze.convert",
    "to_pandas": "kfgraph.analyze.convert",
    "to_text": "kfgraph.render.text",
    "top": "kfgraph.analyze.top",
}

__all__ = [
    "Flag", "KfgraphError", "Trace", "call_tree", "info", "load", "main", "to_anytree", "to_pandas", "to_text", "top",
]  # fmt: skip


def __getattr__(name: str) -> "Any":
    if name in _WHERE:
        import importlib

        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
