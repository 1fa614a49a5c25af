"""pprof's profile (proto/profile.proto of google/pprof): gzip, calls and nanoseconds per stack."""

from __future__ import annotations

import gzip
from typing import IO, Any

import numpy.typing as npt

from kfgraph.analyze.weights import OF_TIME, Weighted
from kfgraph.errors import Notice
from kfgraph.export.protobuf import message, number, packed, text, varint
from kfgraph.model.names import split_label
from kfgraph.model.spelling import spelt_out

_COUNT, _CALLS, _NS, _TIME = 1, 2, 3, 4
_WORDS = ("", "count", "calls", "nanoseconds", "time")


def write_pprof(weighted: Weighted, out: IO[bytes]) -> tuple[Notice, ...]:
    """A sample per stack, its leaf first. A task is its outermost frame; the file of a function is its module.

    Where the trace has sched_switch, a sample has the parts of its time too, and viewers begin with that on the CPU.
    """
    parts = [name for name in OF_TIME if name in weighted.events]
    with gzip.GzipFile(filename="", fileobj=out, mode="wb", mtime=0, compresslevel=6) as packed_out:
        packed_out.write(message(1, number(1, _CALLS) + number(2, _COUNT)))
        packed_out.write(message(1, number(1, _TIME) + number(2, _NS)))
        strings = [*_WORDS, *parts]
        for part in parts:
            packed_out.write(message(1, number(1, strings.index(part)) + number(2, _NS)))
        modules: dict[str, int] = {"": 0}
        for code, label in enumerate(weighted.tree.labels):
            module = split_label(label)[1]
            if module not in modules:
                modules[module] = len(strings)
                strings.append(spelt_out(module))
            name = len(strings)
            strings.append(spelt_out(label))
            function = number(1, code + 1) + number(2, name) + number(3, name) + number(4, modules[module])
            packed_out.write(message(5, function))
            packed_out.write(message(4, number(1, code + 1) + message(4, number(1, code + 1))))
        _samples(weighted, packed_out)
        remarks = [number(13, len(strings) + i) for i in range(len(weighted.remarks))]
        strings += weighted.remarks
        for string in strings:
            packed_out.write(text(6, string))
        packed_out.write(message(11, number(1, _TIME) + number(2, _NS)) + number(12, 1))
        packed_out.write(b"".join(remarks) + number(14, strings.index(parts[0]) if parts else _TIME))
    return (*weighted.notices, *weighted.doubts)


def _samples(weighted: Weighted, out: gzip.GzipFile) -> None:
    tree = weighted.tree
    path: list[bytes] = []
    ids = [varint(code + 1) for code in range(len(tree.labels))]
    parts = [weighted.events[name] for name in OF_TIME if name in weighted.events]
    columns: tuple[npt.NDArray[Any], ...] = (tree.level, tree.label, tree.count, weighted.own_ns, *parts)
    for level, label, n_calls, *ns in zip(*(column.tolist() for column in columns), strict=True):
        del path[level:]
        path.append(ids[label])
        if n_calls:
            out.write(message(2, message(1, b"".join(reversed(path))) + packed(2, (n_calls, *ns))))
