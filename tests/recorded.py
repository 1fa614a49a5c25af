"""What kfgraph makes of very many inputs, one line each, kept in tests/fixtures/recorded/*.xz.

``KFGRAPH_GOLDEN=1`` writes what is made now, and prints what differs: look at it.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "fixtures" / "recorded"
SHOWN = 10


def difference(old: str, new: str) -> str:
    """Two lines where they begin to differ, behind their beginning, which says what was read."""
    pairs = enumerate(zip(old, new, strict=False))
    at = next((at for at, (a, b) in pairs if a != b), min(len(old), len(new)))
    head, begin = old[: min(at, 60)], max(at - 60, 60)
    return f"{head} … at {at}:\n- …{old[begin : at + 80]}\n+ …{new[begin : at + 80]}"


def summed(data: str | bytes, n: int = 64) -> str:
    """A sum of so many hex digits, where the whole would be too long to keep."""
    told = data if isinstance(data, bytes) else data.encode("utf-8", "backslashreplace")
    return hashlib.sha256(told).hexdigest()[:n]


def digest(*values: Any) -> str:
    """A sum of texts, numbers and columns; what else is among them does not count."""
    kept = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    return summed(repr([value for value in kept if isinstance(value, (list, str, int))]), 6)


def compare(name: str, lines: Iterable[str]) -> None:
    """Every line as it was recorded, in this order; fails with the first that differ."""
    file = FOLDER / f"{name}.txt.xz"
    now = list(lines)
    assert not any("\n" in line for line in now)
    before = lzma.decompress(file.read_bytes()).decode("utf-8").split("\n")[:-1] if file.exists() else []
    differ = [difference(old, new) for old, new in zip(before, now, strict=False) if old != new]
    differ += [f"- {line[:200]}" for line in before[len(now) :]]
    differ += [f"+ {line[:200]}" for line in now[len(before) :]]
    if differ and os.environ.get("KFGRAPH_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(lzma.compress("".join(f"{line}\n" for line in now).encode("utf-8"), preset=9))
        print(*differ, sep="\n")
        return
    assert not differ, f"{len(differ)} of {len(now)} differ:\n" + "\n".join(differ[:SHOWN])


def compare_each(name: str, n: int, made: Callable[[random.Random], str]) -> None:
    """What is made of the first ``n`` drawn ones, each by a number of its own."""
    compare(name, (f"{number} {made(random.Random(f'{name} {number}'))}" for number in range(n)))
