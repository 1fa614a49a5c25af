"""The table of ``kfgraph top`` for programs, with the callers of its functions where they were asked for."""

from __future__ import annotations

from typing import Literal, TextIO

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.top import Top
from kfgraph.export.csv import write_csv
from kfgraph.export.jsonl import node_records
from kfgraph.model.spelling import json_text


def write_top(result: Top, callers: CallTree | None, out: TextIO, *, form: Literal["json", "csv"]) -> None:
    """One JSON object, with the nodes of ``callers`` beside the table; or comma-separated values, of the nodes instead
    of the table."""
    if form == "json":
        more = {} if callers is None else {"callers": list(node_records(callers))}
        print(json_text({**result.to_dict(), **more}), file=out)
    elif callers is None:
        write_csv(result.records(), result.columns, out)
    else:
        _write_nodes(callers, out)


def _write_nodes(call_tree: CallTree, stream: TextIO) -> None:
    """The nodes of a merged tree as :func:`kfgraph.export.jsonl.node_records` has them; several flags have spaces
    between. Of a tree of tasks or callers, ``task`` names those."""
    records = [{**record, "flags": " ".join(record["flags"])} for record in node_records(call_tree)]
    columns = list(dict.fromkeys(name for record in records for name in record))
    if "task" in columns:
        columns.remove("task")
        columns.insert(columns.index("module") + 1, "task")
    write_csv(records, columns, stream)
