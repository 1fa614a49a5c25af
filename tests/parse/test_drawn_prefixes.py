"""Texts behind prefixes that not all lines have, among other lines: what they are read as is recorded."""

from __future__ import annotations

import random

import recorded
from described import codes, described
from kfgraph.errors import KfgraphError
from parse.test_plaintext import FORMS, PREFIXES
from parse.test_prefixes import PADDED, SHAPES, each_line
from reference.cases import read

WAYS = (*PREFIXES.values(), *map(each_line, SHAPES.values()))
SHARES = (1, 1, 1, 0.97, 0.95, 0.94, 0.9, 0.8, 0.5, 0.1)
OTHERS = ("", "a word", "  in a log: (x) | y", "# tracer: function_graph", "[    1.000000] usb: {", "> ", "12: 3)  x")


def drawn(rng: random.Random) -> str | bytes:
    lines = PADDED[rng.choice(sorted(PADDED))].splitlines()[: rng.choice((6, 20, 40))]
    for _ in range(rng.choice((0, 0, 1, 4))):
        lines.insert(rng.randrange(len(lines)), rng.choice(OTHERS))
    for _ in range(rng.choice((1, 1, 2))):
        share, behind = rng.choice(SHARES), rng.choice(WAYS)("".join(f"{line}\n" for line in lines)).splitlines()
        lines = [new if rng.random() < share else old for old, new in zip(lines, behind, strict=True)]
    text = "".join(f"{line}\n" for line in lines)
    return rng.choice((*FORMS.values(), *[str] * 20))(text)


def told(text: str | bytes) -> str:
    try:
        trace = read(text)
    except KfgraphError as error:
        return error.message[:80]
    texts = [one.text for one in trace.notices]
    return f"{trace.meta.reader} {codes(trace)} {recorded.digest(described(trace), texts)}"


def test_what_is_read_behind_drawn_prefixes() -> None:
    recorded.compare_each("prefixes", 150, lambda rng: told(drawn(rng)))
