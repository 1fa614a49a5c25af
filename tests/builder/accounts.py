"""Where the time of a trace went, and whether every nanosecond of every call is accounted for.

    PYTHONPATH=tests python -m builder.accounts FOLDER_OR_TRACE...

One line of a table for each trace.dat: how many calls there are, of how many the own time is known (their duration is
then exactly the sum of its parts: this is checked call by call), and what shares of the time are what.
"""

from __future__ import annotations

import lzma
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import kfgraph
from kfgraph.model.calls import PARTS, Flag
from kfgraph.model.trace import Trace


@dataclass(frozen=True)
class Account:
    """``shares`` of the known time: own time of the calls, and each of PARTS. ``in_tracer``: the time of interrupts
    that hit the tracer, in no call's time, against the same whole. ``lost``: the share of the trace in which records
    were lost."""

    n_calls: int
    n_known: int
    n_wrong: int
    shares: dict[str, float]
    in_tracer: float
    lost: float


def account(trace: Trace) -> Account:
    """Add up the parts of each call with a known own time; it must be the duration, to the nanosecond."""
    trace.check()
    calls = trace.calls
    n = len(calls)
    known = calls.self_ns >= 0
    interrupt = int(getattr(Flag, "INTERRUPT", 0))
    outside = (calls.flags & np.uint32(Flag.IN_TRACER | interrupt)) != 0
    child = np.flatnonzero((calls.parent >= 0) & ~outside)
    callees = np.zeros(n, np.int64)
    np.add.at(callees, calls.parent[child], np.maximum(calls.duration_ns[child], 0))
    sums = {"self": int(calls.self_ns[known].sum())}
    whole = calls.self_ns + callees
    for name in PARTS:
        part = getattr(calls, name)
        dense = np.zeros(n, np.int64) if part is None else part.dense(n)
        whole = whole + dense
        sums[name] = int(dense[known].sum())
    total = max(sum(sums.values()), 1)
    hit = calls.has(Flag.IN_TRACER)
    long = trace.meta.last_ns - trace.meta.first_ns
    return Account(
        n_calls=n,
        n_known=int(known.sum()),
        n_wrong=int((whole != calls.duration_ns)[known].sum()),
        shares={name: ns / total for name, ns in sums.items()},
        in_tracer=int(np.maximum(calls.duration_ns[hit], 0).sum()) / total,
        lost=trace.losses.covered_ns / long if long > 0 else 0.0,
    )


def _loaded(path: Path, folder: Path) -> Trace:
    if path.suffix == ".xz":
        plain = folder / path.stem
        plain.write_bytes(lzma.decompress(path.read_bytes()))
        path = plain
    return kfgraph.load(path)


def traces(paths: list[Path]) -> list[Path]:
    """The files named, and all of the folders named."""
    found = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [file for file in found if file.name.endswith((".dat", ".dat.xz"))]


def main() -> None:
    names = [name.removesuffix("_ns") for name in PARTS]
    print("| trace | calls | self known | wrong |", *(f"{name} |" for name in names), "in the tracer | records lost |")
    print("|---" * (6 + len(names)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for path in traces([Path(name) for name in sys.argv[1:]]):
            found = account(_loaded(path, Path(folder)))
            shares = [found.shares[name] for name in PARTS]
            known = f"{found.n_known / max(found.n_calls, 1):.1%}"
            name = path.name.removesuffix(".xz").removesuffix(".dat")
            print(
                f"| {path.parent.name}/{name} | {found.n_calls:,} | {known}",
                found.n_wrong,
                *(f"{share:.1%}" for share in (*shares, found.in_tracer, found.lost)),
                sep=" | ",
                end=" |\n",
                flush=True,
            )


if __name__ == "__main__":
    main()
