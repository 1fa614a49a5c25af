"""trace.dat, as trace-cmd records it: versions 6 and 7."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from kfgraph.parse.tracedat.feed import Prefetcher
from kfgraph.tracefile.contents import read_contents
from kfgraph.tracefile.source import Damage

if TYPE_CHECKING:
    from kfgraph.model.trace import Trace
    from kfgraph.parse.tracedat.raw import Record

__all__ = ["read", "records"]


def read(path: str | os.PathLike[str], *, buffer: str | None = None, name: str = "") -> Trace:
    """The trace in a trace.dat file of version 6 or 7.

    ``buffer`` names one of several trace buffers, the main one by default; ``name`` is what messages
    and ``meta.path`` call the file, its path by default.

    Raises:
        InputError: it is none, is damaged beyond reading (the offset is named), or is a latency trace.
        NoMatchError: it has no buffer of that name.
    """
    contents = read_contents(path, name=name)
    try:
        with closing(Prefetcher(contents, buffer)) as prefetcher:
            # This and numpy take as long to import as the first chunks to decompress: now both are under way.
            from kfgraph.parse.tracedat.reader import Reading

            return Reading(prefetcher).trace()
    except Damage as damage:
        contents.close()
        raise damage.as_error(contents.name) from None
    except BaseException:
        contents.close()
        raise


def records(path: str | os.PathLike[str], *, buffer: str | None = None) -> Iterator[Record]:
    """All records of a trace.dat in the order of the stream, before pairing.

    Raises:
        InputError, NoMatchError: as :func:`read`.
    """
    from kfgraph.parse.tracedat.raw import records_of
    from kfgraph.parse.tracedat.reader import Reading

    contents = read_contents(path)
    try:
        with closing(Prefetcher(contents, buffer)) as prefetcher:
            yield from records_of(Reading(prefetcher))
    except Damage as damage:
        raise damage.as_error(contents.name) from None
    finally:
        contents.close()
