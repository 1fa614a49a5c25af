"""Texts with times and without names at exits, damaged by single changes: no call may get another's duration.

    PYTHONPATH=tests python tests/pairing/damage.py --seeds 0:6000 [--show] TEXT.txt.xz ...

A seed is one damaged text: a stretch of one of the texts in which lines are left out, doubled, moved, or change places.
The line of each entry is written into the function's name (``f`` in line 12 is ``f.L12``), so a row of the
damaged text says which entry it was made of. A duration is *wrong* if the entry has another one, or none, in the
intact text. A call that lost its duration is none.
"""

from __future__ import annotations

import argparse
import functools
import io
import lzma
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kfgraph.model.trace import Trace
from kfgraph.parse import load

REPOSITORY = Path(__file__).resolve().parents[2]
TEXTS = (
    "tests/fixtures/traces/s390x-true.report-3.1.6.txt.xz",
    "tests/fixtures/text/6.1-report-pipe-syscalls.txt.xz",
    "tests/fixtures/text/6.12-report-ls-lost.txt.xz",
    "tests/fixtures/text/6.12-report-system.txt.xz",
    "tests/fixtures/text/7.2-report-insmod-args.txt.xz",
    "tests/fixtures/text/7.2-report-widget-fail19.txt.xz",
    "tests/fixtures/text/6.1-ftrace-abstime.txt.xz",
    "tests/fixtures/text/7.2-retval-ftrace-abstime-proc.txt.xz",
    "examples/insmod-dummy.report.txt.xz",
    "examples/insmod-fail19.report.txt.xz",
    "examples/insmod-lossy.report.txt.xz",
)
_NAME = re.compile(rb"(?<=\|)(\s*[A-Za-z_][\w.]*)(?=(?: \[\w+\])?\()")
_NUMBER = re.compile(r"\.L(\d+)$")
_HEAD = 40
"""Lines that begin with ``#`` or ``cpus=`` are at the top."""


@dataclass(frozen=True)
class Intact:
    """A whole text: its head, its numbered lines, and what each entry's call lasted."""

    name: str
    head: list[bytes]
    lines: list[bytes]
    durations: dict[int, int]


@dataclass(frozen=True)
class Wrong:
    """A call of a damaged text that has not its own duration."""

    line: int
    told: int
    true: int


def rows(trace: Trace) -> Iterator[tuple[int, int]]:
    """(line, duration) of each entry."""
    label = [trace.symbols.names[code] for code in range(len(trace.symbols.names))]
    for func, duration in zip(trace.calls.func.tolist(), trace.calls.duration_ns.tolist(), strict=True):
        found = _NUMBER.search(label[func])
        if found:
            yield int(found[1]), duration


def read(lines: list[bytes]) -> Trace:
    """The trace of a text that is in no file."""
    return load(io.BytesIO(b"\n".join(lines) + b"\n"))


@functools.cache
def intact(path: Path) -> Intact:
    """A text with its entries numbered, and its own pairs."""
    data = path.read_bytes()
    lines = (lzma.decompress(data) if path.suffix == ".xz" else data).splitlines()
    head = [line for line in lines[:_HEAD] if line.startswith((b"#", b"cpus="))]
    records = ((at, line) for at, line in enumerate(lines) if not line.startswith((b"#", b"cpus=")))
    lines = [_NAME.sub(rb"\1.L%d" % at, line, count=1) for at, line in records]
    return Intact(path.name, head, lines, dict(rows(read([*head, *lines]))))


def _delete(rng: random.Random, lines: list[bytes], at: int) -> None:
    del lines[at]


def _delete_run(rng: random.Random, lines: list[bytes], at: int) -> None:
    del lines[at : at + rng.randint(2, 12)]


def _swap(rng: random.Random, lines: list[bytes], at: int) -> None:
    other = min(at + 1, len(lines) - 1)
    lines[at], lines[other] = lines[other], lines[at]


def _swap_far(rng: random.Random, lines: list[bytes], at: int) -> None:
    other = rng.randrange(max(0, at - 10), min(len(lines), at + 10))
    lines[at], lines[other] = lines[other], lines[at]


def _double(rng: random.Random, lines: list[bytes], at: int) -> None:
    lines.insert(at, lines[at])


def _double_far(rng: random.Random, lines: list[bytes], at: int) -> None:
    lines.insert(rng.randrange(max(0, at - 10), min(len(lines), at + 10)), lines[at])


def _move(rng: random.Random, lines: list[bytes], at: int) -> None:
    line = lines.pop(at)
    lines.insert(rng.randrange(max(0, at - 20), min(len(lines), at + 20) + 1), line)


DAMAGES: tuple[Callable[[random.Random, list[bytes], int], None], ...] = (
    _delete, _delete, _delete_run, _swap, _swap, _swap_far, _double, _double_far, _move,
)  # fmt: skip


def damaged(texts: list[Intact], seed: int) -> tuple[Intact, str, list[bytes]]:
    """A stretch of one of ``texts`` with one to three changes of one kind, and the name of that."""
    rng = random.Random(seed)
    text = texts[rng.randrange(len(texts))]
    first = rng.randrange(max(1, len(text.lines) - 40))
    lines = text.lines[first : first + rng.randint(20, 200)]
    damage = DAMAGES[rng.randrange(len(DAMAGES))]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        damage(rng, lines, rng.randrange(len(lines)))
        if not lines:
            break
    return text, damage.__name__.strip("_"), lines


def wrong(text: Intact, lines: list[bytes]) -> tuple[list[Wrong], int]:
    """The calls of ``lines`` that have not their own duration; how many have it."""
    trace = read([*text.head, *lines])
    found, kept = [], 0
    for line, told in rows(trace):
        true = text.durations[line]
        if told >= 0 and told != true:
            found.append(Wrong(line, told, true))
        kept += told >= 0
    return found, kept


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser()
    options.add_argument("--seeds", default="0:6000", help="A:B, which texts to make")
    options.add_argument("--show", action="store_true", help="print each wrong call with the lines around it")
    options.add_argument("texts", type=Path, nargs="*", default=[REPOSITORY / text for text in TEXTS])
    asked = options.parse_args()
    texts = [intact(path) for path in asked.texts]
    first, _, end = asked.seeds.partition(":")
    by_kind: Counter[str] = Counter()
    n_texts = n_wrong = n_kept = 0
    for seed in range(int(first), int(end)):
        text, kind, lines = damaged(texts, seed)
        if not lines:
            continue
        n_texts += 1
        found, kept = wrong(text, lines)
        n_kept += kept
        n_wrong += len(found)
        by_kind[kind] += bool(found)
        if found and asked.show:
            print(f"seed {seed}: {text.name}, {kind}: {found}")
            mark = re.compile(rb"\.L%d[( ]" % found[0].line)
            at = next(at for at, line in enumerate(lines) if mark.search(line))
            print(*(line.decode("latin-1") for line in lines[max(0, at - 12) : at + 25]), sep="\n")
    n_of_them = sum(by_kind.values())
    print(f"{n_texts} texts, {n_of_them} of them wrong {dict(by_kind)}; {n_wrong} calls; {n_kept} durations")


if __name__ == "__main__":
    main()
