"""The screens of the explorer after each key, whole, as they were recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

pytest.importorskip("textual", reason="extra: Textual is not installed")

import kfgraph
import recorded
from ui.test_explorer import EXAMPLES, SAID, screens

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
LEAVING = (
    "4 j enter y 4 j j enter 4 c y e,escape T j enter 2 e,minus,enter y z e,enter Z x e,enter u 8 y 3 j y c "
    "e,escape 7 j e,enter y j enter j enter y o Z y Z T k k enter 4 k y e,a,full_stop,t,x,t,enter 5 enter y 6 y "
    "enter ctrl+f ctrl+d l z e,enter backspace minus asterisk space question_mark j k q 1 pagedown h ctrl+b z "
    "e,a,full_stop,t,x,t,enter"
)
MATCHES = "T j j enter e,enter T enter f f s z e,enter Z m e,a,full_stop,t,x,t,enter 3 j j c 2 j e,enter 4 5 j enter"
SENT = "4 j j j enter y 4 G k enter 4 k k c y 5 j j enter 5 G c y 6 enter y 3 G enter y"
CASES = (
    (f"{CUT}/7.2-retval.dat", (100, 14), FLAMES),
    ("failing/retry.dat", (100, 26), f"{MOVES} {FINDS} {TREES} {LISTS}"),
    ("failing/param_set.dat", (64, 14), f"{FINDS} a {MOVES} i {LISTS} 2 {TREES}"),
    (f"{CUT}/6.12-lost.dat", (140, 40), f"{TREES} {LISTS}"),
    (f"{CUT}/7.2-syscalls.dat", (124, 18), LEAVING),
    ("failing/process_limit.dat", (76, 20), SENT),
    (f"{CUT}/6.1-syscalls.dat --root *read*", (90, 16), MATCHES),
)


@pytest.mark.parametrize(("name", "size", "keys"), CASES, ids=[case[0].rpartition("/")[2] for case in CASES])
def test_screens(name: str, size: tuple[int, int], keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    def everything() -> Iterator[str]:
        file, _, root = name.partition(" --root ")
        trace = kfgraph.load(EXAMPLES / file)
        written: list[str] = []
        # Not where the tests are: how long that is moves what stands behind it.
        trace = replace(trace, meta=replace(trace.meta, path=file, again=""))
        shown = screens(
            trace, *keys.split(), size=size, filters={"root": [root]} if root else {},
            export=lambda path, filters: f"{path}: {filters}",
            export_text=lambda path, lines: written.extend([path, *lines]),
        )  # fmt: skip
        for n, (key, lines) in enumerate(zip(["", *keys.split()], shown, strict=True)):
            text = "\n".join(lines).replace(str(EXAMPLES.parent), "")
            yield f"{n} {key}: {json.dumps(text, ensure_ascii=False)}"
        told = re.sub("<script>.*?</script>", "<script>", json.dumps(written, ensure_ascii=False))
        if written:
            yield f"written: {told[:200]} {recorded.summed(told)}"

    recorded.compare(f"explorer-{name.rpartition('/')[2].partition('.dat')[0]}", everything())


@pytest.mark.parametrize("over", ["question_mark", "T"])
def test_q_closes_what_lies_over_the_rows_and_ctrl_c_leaves_from_there(over: str) -> None:
    rows, above, closed = screens("failing/retry.dat", over, "q")
    assert closed == rows != above and not SAID[-1]._exit
    screens("failing/retry.dat", over, "ctrl+c")
    assert SAID[-1].return_value == 0
