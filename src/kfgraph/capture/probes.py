"""Return probes in kprobe_events: set beside the graph, taken away afterwards.

Source of the syntax: Documentation/trace/kprobetrace.rst.
"""

from __future__ import annotations

from collections.abc import Callable

from kfgraph.capture.tracefs import Tracefs

GROUP = "kfgraph"


def remove(fs: Tracefs) -> list[str]:
    """Take away every probe of kfgraph's group; the names of those that stay."""
    if not fs.has("kprobe_events"):
        return []
    mine = [line.split()[0].partition(":")[2] for line in fs.read("kprobe_events").splitlines() if f":{GROUP}/" in line]
    if mine and fs.has(f"events/{GROUP}/enable"):
        _try(fs.write, f"events/{GROUP}/enable", "0")
    return [f"kprobe_events: {name}" for name in mine if not _try(fs.append, "kprobe_events", f"-:{name}")]


def _try(write: Callable[[str, str], None], name: str, text: str) -> bool:
    try:
        write(name, text)
    except OSError:
        return False
    return True
