"""What files that are no text hold, of many recordings with drawn options: compared with what was recorded.

Of long ones a sum is kept: what they mean is told by the tests of each format.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
import pytest

import recorded
from contract.test_recorded import CUT, TEXT
from contract.test_recorded_drawn import TRACES, Draw
from kfgraph.render.html import markup, pack
from running import kfgraph

SLEEPING = (
    f"{CUT}/6.12-system.dat", f"{CUT}/6.1-syscalls.dat", f"{CUT}/7.2-syscalls.dat", f"{CUT}/7.2-args.dat",
    f"{TEXT}/6.1-report-pipe-syscalls.txt.xz", f"{TEXT}/7.2-report-args-retaddr.txt.xz",
)  # fmt: skip
COSTLY = (
    "examples/insmod-foo-fail19.dat --root foo_* --compensate", "examples/insmod-fail19.dat --root *free* --compensate",
    "examples/insmod-foo-fail19.dat --root *lock* --redact",
)  # fmt: skip
"""These traces tell what it costs to trace a call."""
SMALL = tuple(trace for trace in TRACES if "insmod-foo" not in trace and "cat-enoent" not in trace)
CALLS = (
    "--root *alloc*", "--root *lock*", "--cpu 0", "--from 0.00005", "--to 0.0005", "--irq", "--no-irq", "--failed",
    "--all-tasks", "--pre-exec",
)  # fmt: skip
KEPT = 120
"""So many characters of a file or a part of one."""


def in_part(text: str) -> str:
    return text if len(text) <= KEPT else f"{text[:KEPT]} … {recorded.summed(text, 12)}"


def parquet(path: Path) -> str:
    table = pyarrow.parquet.read_table(path)
    columns = [f"{field.name} {field.type}: {table[field.name].to_pylist()}" for field in table.schema]
    names = [f"{field.name} {field.type}" for field in table.schema]
    n_groups = pyarrow.parquet.ParquetFile(path).num_row_groups
    return f"{len(table)} in {n_groups} {' '.join(names)}: {recorded.summed('; '.join(columns), 12)}"


@pytest.mark.parametrize("name", ["perfetto", "pprof", "parquet"])
def test_binary_files_are_as_recorded(name: str, at_a_terminal: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def everything() -> Iterator[str]:
        draw = Draw(name)
        for trace in (*SLEEPING, *SMALL, *(COSTLY if name != "perfetto" else ())):
            words = [*draw.some(CALLS, 1), *draw.some(("--redact",), 1)] if draw.below(3) and " " not in trace else []
            line, path = " ".join(["export", trace, "--format", name, *words]), tmp_path / "file"
            code, _, err = kfgraph(*line.split(" "), "-o", path)
            if code:
                yield f"{line}: {json.dumps([code, err], ensure_ascii=False)}"
                continue
            data = path.read_bytes()
            plain = gzip.decompress(data) if name == "pprof" else data
            made = parquet(path) if name == "parquet" else f"{len(plain)} {recorded.summed(plain, 12)}"
            yield f"{line}: {json.dumps([made, err], ensure_ascii=False)}"

    recorded.compare(f"files-{name}", everything())


SIZES = ("", "", "--max-size 100K", "--max-size 40K", "--max-size 20K", "--max-size 12K", "--max-size 6K")


def of_page(html: str) -> Iterator[str]:
    """The text of a page, the head of its data, and of each column where it begins, and a sum."""
    data = re.search(r'id="data">(.*?)</script>', html, flags=re.DOTALL)
    assert data is not None
    yield in_part(re.sub(r"\s+", " ", html.replace(data[0], "").partition("<body>")[2]))
    raw = gzip.decompress(base64.b64decode(data[1]))
    at = 4 + struct.unpack("<I", raw[:4])[0]
    head = json.loads(raw[4:at])
    yield f"head: {' '.join(recorded.summed(json.dumps(value), 4) for value in head.values())}"
    sizes = [n * n_planes for _, n, n_planes, _ in head["columns"]]
    assert at + sum(sizes) == len(raw)
    yield f"columns: {len(sizes)} {recorded.summed(raw[at:], 12)}"


@pytest.mark.parametrize("part", [0, 1])
def test_pages_are_as_recorded(part: int, at_a_terminal: pytest.MonkeyPatch) -> None:
    # How large a page is must not depend on how well gzip does, nor on the program in it.
    at_a_terminal.setattr(pack, "LEVEL", 0)
    at_a_terminal.setattr(markup, "script", lambda: "")
    at_a_terminal.setattr(markup, "style", lambda: "")

    def everything() -> Iterator[str]:
        draw = Draw("page")
        for trace in (*SLEEPING, *SMALL, *COSTLY):
            words = [*draw.some(CALLS, 1), *draw.some(("--redact",), 1)] if draw.below(2) and " " not in trace else []
            words += filter(None, [SIZES[draw.below(len(SIZES))]])
            line = " ".join(["html", trace, *words])
            if len(line) % 2 == part:
                code, out, err = kfgraph(*line.split(" "))
                made = [] if code else list(of_page(out))
                yield f"{line}: {json.dumps([code, err, *made], ensure_ascii=False)}"

    recorded.compare(f"files-pages-{part}", everything())
