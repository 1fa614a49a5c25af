"""The screens of the explorer after each key, whole, as they were recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

pytest.importorskip("textual", reason="extra: Textual is not installed")

import kfgraph
import recorded
from ui.test_explorer import EXAMPLES, screens

CUT = "../tests/fixtures/traces/cut"
MOVES = "g j j right right p left o G k ctrl+u pageup"
FINDS = "f F s s S slash,r,e,t,r,y,enter n N slash,l,o,c,k,enter n n"
TREES = "g z E G Z g C enter t t m m x u a a b b i i 2 right o t 1"
LISTS = "3 j j enter 4 j enter 5 j enter 6 T j enter question_mark escape 3 slash,k,enter n escape"
FLAMES = (
    "7 right right down down down up l k o enter up right left backspace slash,l,o,c,k,enter n n N enter Z escape y "
    "end home @20,6 @20,6 @60,9 @90,9,wheel 60x16 pagedown i 110x24 o "
    "c j right right p x u 8 escape 1 G @30,8 @9,9,wheel"
)
CASES = (
    (f"{CUT}/7.2-retval.dat", (100, 14), FLAMES),
    ("failing/retry.dat", (100, 26), f"{MOVES} {FINDS} {TREES} {LISTS}"),
    ("failing/param_set.dat", (64, 14), f"{FINDS} a {MOVES} i {LISTS} 2 {TREES}"),
    (f"{CUT}/6.12-lost.dat", (140, 40), f"{TREES} {LISTS}"),
)


@pytest.mark.parametrize(("name", "size", "keys"), CASES, ids=[case[0].rpartition("/")[2] for case in CASES])
def test_screens(name: str, size: tuple[int, int], keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    def everything() -> Iterator[str]:
        trace = kfgraph.load(EXAMPLES / name)
        # Not where the tests are: how long that is moves what stands behind it.
        trace = replace(trace, meta=replace(trace.meta, path=name, again=""))
        shown = screens(trace, *keys.split(), size=size)
        for n, (key, lines) in enumerate(zip(["", *keys.split()], shown, strict=True)):
            text = "\n".join(lines).replace(str(EXAMPLES.parent), "")
            yield f"{n} {key}: {json.dumps(text, ensure_ascii=False)}"

    recorded.compare(f"explorer-{name.rpartition('/')[2].partition('.dat')[0]}", everything())
