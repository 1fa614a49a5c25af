"""trace.dat, as trace-cmd records it: versions 6 and 7."""

from kfgraph.parse.tracedat.raw import Record, records
from kfgraph.parse.tracedat.reader import is_trace_dat, read

__all__ = ["Record", "is_trace_dat", "read", "records"]
