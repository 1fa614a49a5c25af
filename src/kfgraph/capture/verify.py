"""Whether what a recorder wrote can be loaded: checked before a recording is put in its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kfgraph.errors import KfgraphError


@dataclass(frozen=True)
class Verdict:
    """What a trace file is worth. ``lacks`` is "" if nothing is missing; ``usable``: there is something to keep.

    ``empty``: it is sound and has no data, which is right where nothing was recorded.
    """

    usable: bool
    lacks: str = ""
    empty: bool = False


def verify(path: Path) -> Verdict:
    """Walk through a trace.dat's sections and the list of its data; the data itself is not read."""
    # Imported while a recording goes on, and not before it begins.
    from kfgraph.tracefile.contents import read_contents

    try:
        contents = read_contents(path)
    except (KfgraphError, OSError) as problem:
        return Verdict(usable=False, lacks=getattr(problem, "message", "") or str(problem))
    try:
        # A file without data is filled from the parts beside it; here it is to be told what is in the file.
        inside = [cpu for buffer in contents.buffers for cpu in buffer.cpus if cpu.source is contents.source]
        lacks = "; ".join(notice.text for notice in contents.notices)
        if not any(cpu.chunks for cpu in inside):
            return Verdict(usable=False, lacks=lacks or "no CPU has data in it", empty=not lacks)
        return Verdict(usable=True, lacks=lacks)
    finally:
        contents.close()
