"""What a function returns. Imports no numpy: who records needs it, too."""

from __future__ import annotations

from dataclasses import dataclass

PROBE_GROUP = "kfgraph"
"""The group of the events of kfgraph's own return probes."""


@dataclass(frozen=True)
class Returned:
    """What a function returns.

    ``c_type`` is its type in C (``int``, ``void``, ``struct page *``), ``n_bits`` how many of the register
    count, ``can_fail`` whether a value can be a negative error number at all. ``kind`` is what the type is without
    its names: void, int, bool, pointer, enum, struct, union, float, array or unknown; ``signed`` that of an int.
    """

    c_type: str
    n_bits: int
    can_fail: bool
    kind: str = "unknown"
    signed: bool = False
