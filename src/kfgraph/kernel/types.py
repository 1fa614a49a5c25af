"""What the running kernel's functions return, by its own BTF."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from kfgraph.kernel.btf import Btf, Prototype
from kfgraph.model.returned import Returned

BTF = Path("/sys/kernel/btf/vmlinux")


def returned_of(prototype: Prototype, *, long_size: int = 8) -> Returned | None:
    """What a function of this prototype returns; None where that is not known."""
    if not prototype.c_type:
        return None
    kind, signed = prototype.returns.kind, prototype.returns.signed
    size = long_size if kind == "pointer" else prototype.returns.size
    if size > long_size:
        # Its upper half is in another register, which is not recorded.
        kind = "unknown"
    can_fail = prototype.can_fail(long_size)
    return Returned(prototype.c_type, 8 * min(size, long_size), can_fail, kind, signed and kind == "int")


class KernelTypes:
    """What the running kernel's functions return. Its types are read when the first name is asked for."""

    def __init__(self, path: Path = BTF, *, long_size: int = 8) -> None:
        self._path = path
        self._long_size = long_size

    @cached_property
    def _btf(self) -> Btf | None:
        try:
            return Btf(self._path.read_bytes())
        except (OSError, ValueError):
            return None

    def returned(self, function: str) -> Returned | None:
        """By the function's name; None where that is not known."""
        prototype = self._btf.prototype(function) if self._btf is not None else None
        return None if prototype is None else returned_of(prototype, long_size=self._long_size)
