"""What the running kernel's functions return, by its own BTF."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kfgraph.kernel.btf import Btf

BTF = Path("/sys/kernel/btf/vmlinux")


def can_fail(path: Path = BTF, *, long_size: int = 8) -> Callable[[str], bool | None]:
    """By a function's name: can it return an error by its type? None where that is not known.

    The types are read when the first name is asked for.
    """
    known: list[Btf | None] = []

    def answer(name: str) -> bool | None:
        if not known:
            try:
                known.append(Btf(path.read_bytes()))
            except (OSError, ValueError):
                known.append(None)
        prototype = known[0].prototype(name) if known[0] is not None else None
        return None if prototype is None else prototype.can_fail(long_size)

    return answer
