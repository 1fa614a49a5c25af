"""kfgraph: strace for the inside of the kernel.

The public API, each name imported when first used::

    trace = kfgraph.load("trace.dat")                       # Trace
    kfgraph.top(trace, root="load_module").to_pandas()      # where the time went, by function
    tree = kfgraph.call_tree(trace, root="load_module")     # CallTree
    print(tree)                                             # as kfgraph show prints it
    tree.to_pandas()                                        # one row per node
    kfgraph.to_anytree(tree)                                # its roots as anytree nodes
    kfgraph.to_pandas(trace, task="insmod")                 # one row per call
    kfgraph.why(trace).to_dict()                            # which call failed, and where its error came from
    trace.errors()                                          # the errors, by function
    trace.syscalls(failed=True).to_pandas()                 # the system calls
    trace.calls.where(root="vfs_open", cpu=0).to_pandas()   # the calls that pass filters
    kfgraph.info(trace).to_dict()                           # kernel, clock, tasks, losses, notices

Failures that are to be expected are :class:`kfgraph.errors.KfgraphError`. See docs/api.md.
"""

# Nothing is imported here: what Ctrl-C meets before the first line of __main__.py is Python's to answer.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from kfgraph.analyze.callers import callers as callers
    from kfgraph.analyze.calltree import call_tree as call_tree
    from kfgraph.analyze.convert import errors_to_pandas as errors_to_pandas
    from kfgraph.analyze.convert import syscalls_to_pandas as syscalls_to_pandas
    from kfgraph.analyze.convert import to_anytree as to_anytree
    from kfgraph.analyze.convert import to_pandas as to_pandas
    from kfgraph.analyze.filters import Filters as Filters
    from kfgraph.analyze.info import info as info
    from kfgraph.analyze.listings import CallRows as CallRows
    from kfgraph.analyze.listings import ErrorTable as ErrorTable
    from kfgraph.analyze.listings import SystemCallTable as SystemCallTable
    from kfgraph.analyze.top import top as top
    from kfgraph.analyze.why import why as why
    from kfgraph.cli.app import main as main
    from kfgraph.errors import KfgraphError as KfgraphError
    from kfgraph.model.calls import Flag as Flag
    from kfgraph.model.trace import Trace as Trace
    from kfgraph.parse import load as load
    from kfgraph.render.notebook import to_html as to_html
    from kfgraph.render.text import to_rich as to_rich
    from kfgraph.render.text import to_text as to_text

__version__ = "0.1.0"

_WHERE = {
    "CallRows": "kfgraph.analyze.listings",
    "ErrorTable": "kfgraph.analyze.listings",
    "Filters": "kfgraph.analyze.filters",
    "Flag": "kfgraph.model.calls",
    "KfgraphError": "kfgraph.errors",
    "SystemCallTable": "kfgraph.analyze.listings",
    "Trace": "kfgraph.model.trace",
    "call_tree": "kfgraph.analyze.calltree",
    "callers": "kfgraph.analyze.callers",
    "errors_to_pandas": "kfgraph.analyze.convert",
    "info": "kfgraph.analyze.info",
    "load": "kfgraph.parse",
    "main": "kfgraph.cli.app",
    "syscalls_to_pandas": "kfgraph.analyze.convert",
    "to_anytree": "kfgraph.analyze.convert",
    "to_html": "kfgraph.render.notebook",
    "to_pandas": "kfgraph.analyze.convert",
    "to_rich": "kfgraph.render.text",
    "to_text": "kfgraph.render.text",
    "top": "kfgraph.analyze.top",
    "why": "kfgraph.analyze.why",
}

__all__ = [
    "CallRows", "ErrorTable", "Filters", "Flag", "KfgraphError", "SystemCallTable", "Trace", "call_tree", "callers",
    "errors_to_pandas", "info", "load", "main", "syscalls_to_pandas", "to_anytree", "to_html", "to_pandas", "to_rich",
    "to_text", "top", "why",
]  # fmt: skip


def __getattr__(name: str) -> "Any":
    if name in _WHERE:
        import importlib

        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
