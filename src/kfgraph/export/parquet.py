"""Calls as a Parquet file, a row each (pyarrow: ``pip install kfgraph[parquet]``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.callsites import CallSites, callers_of
from kfgraph.analyze.select import Selection
from kfgraph.errors import MachineError, Notice
from kfgraph.export.tracks import chunks
from kfgraph.export.values import details_of
from kfgraph.model.calls import CONTEXTS
from kfgraph.model.spelling import spelt_out

Int32 = npt.NDArray[np.int32]

_ROWS = 1 << 17


def write_parquet(
    selection: Selection, out: IO[bytes], *, sites: CallSites | None = None
) -> tuple[Notice, ...]:
    """The columns of CSV; what is not known is null. Names are dictionaries, ``flags`` the bits of kfgraph.Flag.

    Raises:
        MachineError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MachineError("Parquet needs pyarrow, which is not installed", "pip install kfgraph[parquet]") from None
    trace, calls = selection.trace, selection.trace.calls
    symbols, tasks = trace.symbols, trace.tasks.tasks

    def unique(texts: Iterable[str]) -> tuple[Any, Int32]:
        """(the texts, each once; which of these each is). Of a dictionary with a text twice Arrow writes memory that
        nothing was written to."""
        code: dict[str, int] = {}
        which = [code.setdefault(spelt_out(text), len(code)) for text in texts]
        return pa.array(list(code), pa.string()), np.array(which, np.int32)

    functions, modules = unique(symbols.names), unique(symbols.modules)
    comms, contexts = unique(task.comm for task in tasks), unique(CONTEXTS)
    pids = np.array([task.pid for task in tasks], np.int32)
    recorded = calls.retval is not None or calls.args is not None
    details, callers = details_of(trace), callers_of(trace, sites)
    nothing = np.zeros(0, np.int32)
    text = pa.dictionary(pa.int32(), pa.string())
    types: dict[str, Any] = {
        "row": pa.int32(), "parent": pa.int32(), "level": pa.int16(), "function": text, "module": text,
        "pid": pa.int32(), "comm": text, "cpu": pa.int16(), "start_ns": pa.int64(), "duration_ns": pa.int64(),
        "total_ns": pa.int64(), "self_ns": pa.int64(), "context": text, "flags": pa.uint32(),
    }  # fmt: skip
    if recorded:
        types |= {"ret": pa.string(), "error": pa.string(), "args": pa.string()}
    types |= {name: pa.int32() if name == "caller_offset" else text for name in callers(nothing)}
    types |= dict.fromkeys(selection.further_columns(nothing), pa.int64())
    nth = np.array(trace.tasks.nth, np.int32)
    types |= {"pid_nth": pa.int32()} if len(nth) else {}
    schema = pa.schema(list(types.items()))

    def known(column: npt.NDArray[Any]) -> Any:
        return pa.array(column, mask=column < 0)

    def named(codes: npt.NDArray[Any], names: tuple[Any, Int32], unknown: npt.NDArray[np.bool_] | None = None) -> Any:
        texts, which = names
        known_codes = codes if unknown is None else np.where(unknown, 0, codes)
        return pa.DictionaryArray.from_arrays(pa.array(which[known_codes], mask=unknown), texts)

    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for part in chunks(len(selection.keep), _ROWS):
            rows = (np.flatnonzero(selection.keep[part]) + part.start).astype(np.int32)
            func, lane, context = calls.func[rows], calls.lane[rows], calls.context[rows]
            columns = [
                pa.array(rows), known(selection.parent[rows]), pa.array(calls.level[rows]), named(func, functions),
                named(func, modules), known(pids[lane] if len(pids) else lane), named(lane, comms),
                known(calls.cpu[rows]), known(calls.start_ns[rows]), known(calls.duration_ns[rows]),
                known(selection.total_ns[rows]), known(selection.self_ns[rows]),
                named(context, contexts, context >= len(CONTEXTS)), pa.array(calls.flags[rows]),
            ]  # fmt: skip
            if recorded:
                told = details(rows) or [{}] * len(rows)
                for name in ("ret", "error", "args"):
                    values = [one.get(name) for one in told]
                    columns.append(pa.array([None if v is None else str(v) for v in values], pa.string()))
            columns += [
                pa.array([spelt_out(one) if isinstance(one, str) else one for one in column], types[name])
                for name, column in callers(rows).items()
            ]
            columns += [known(column) for column in selection.further_columns(rows).values()]
            columns += [pa.array(nth[lane])] if len(nth) else []
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return ()
