"""The progress bar: what it says, when, and that it leaves nothing behind."""

from __future__ import annotations

import io
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import kfgraph
from builder.tables import call, trace_of
from builder.text import report_text
from kfgraph.cli import progressbar
from kfgraph.model import steps
from running import kfgraph as run_kfgraph

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class Terminal(io.StringIO):
    """What a terminal was sent."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    # Not sys itself: pytest puts another stderr there for each phase of a test.
    monkeypatch.setattr(progressbar, "sys", SimpleNamespace(stderr=stream))
    monkeypatch.setattr(progressbar, "AFTER_S", 0.05)
    monkeypatch.setattr(progressbar, "EVERY_S", 0.01)
    return stream


def until(stream: Terminal, text: str) -> bool:
    end = time.monotonic() + 20
    while text not in stream.getvalue() and time.monotonic() < end:
        time.sleep(0.005)
    return text in stream.getvalue()


def test_it_says_what_is_done_and_how_far(terminal: Terminal) -> None:
    with progressbar.shown("reading x\x1b[31m"):
        assert until(terminal, "kfgraph: reading x\\x1b[31m, 0 s")
        steps.begin(total=400)
        steps.advance(172)
        assert until(terminal, "[########............] 43 %")
        steps.advance(1_000)
        assert until(terminal, "[####################] 100 %")
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_nothing_is_said_of_what_is_short(terminal: Terminal) -> None:
    with progressbar.shown("reading", after_s=30):
        time.sleep(0.1)
    assert terminal.getvalue() == ""


def test_nothing_is_said_when_quiet_or_into_a_pipe(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    with progressbar.shown("reading", quiet=True):
        time.sleep(0.15)
    pipe = io.StringIO()
    monkeypatch.setattr(progressbar, "sys", SimpleNamespace(stderr=pipe))
    with progressbar.shown("reading"):
        time.sleep(0.15)
    assert terminal.getvalue() == pipe.getvalue() == ""


def test_it_goes_where_the_block_fails(terminal: Terminal) -> None:
    with pytest.raises(ValueError), progressbar.shown("reading"):
        assert until(terminal, "reading")
        raise ValueError
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_readers_say_how_far_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int, int]] = []
    begin = steps.begin

    def noted(what: str = "", *, total: int = 0) -> None:
        seen.append((steps.NOW.what, steps.NOW.done, steps.NOW.total))
        begin(what, total=total)

    monkeypatch.setattr(steps, "begin", noted)
    dat = EXAMPLES / "insmod-foo-fail19.dat"
    kfgraph.load(dat)
    noted()
    (read,) = [one for one in seen if one[0] == f"reading {dat}" and one[2]]
    assert read[1] == read[2] > 100_000
    text = tmp_path / "r.txt"
    text.write_text(report_text(trace_of([call("f", 10_000)] * 30_000)))
    seen.clear()
    kfgraph.load(text)
    noted()
    size = text.stat().st_size
    assert [one for one in seen if one[0] == f"reading {text}" and one[2]] == [(f"reading {text}", size, size)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["why"], ["reading", "looking for what failed"]),
        (["html", "-o", "OUT.html"], ["reading", "making the page"]),
        (["export", "-o", "OUT.json"], ["reading", "writing chrome"]),
        (["export", "-o", "OUT.jsonl"], ["reading", "writing json"]),
        (["flame", "-o", "OUT.svg"], ["reading", "drawing the flame graph"]),
        (["top"], ["reading", "summing up"]),
        (["show"], ["reading"]), (["info"], ["reading"]), (["errors"], ["reading"]), (["syscalls"], ["reading"]),
    ],
    ids=lambda value: " ".join(value[:3]),
)  # fmt: skip
def test_every_command_has_it(
    words: list[str], told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []
    shown = progressbar.shown

    def noted(what: str, *, quiet: bool = False, after_s: float | None = None) -> object:
        asked.append((what.split(" /")[0], quiet))
        return shown(what, quiet=quiet, after_s=after_s)

    monkeypatch.setattr(progressbar, "shown", noted)
    line = [word.replace("OUT", str(tmp_path / "out")) for word in words]
    for quiet in (False, True):
        asked.clear()
        run_kfgraph(*line, EXAMPLES / "insmod-foo-fail19.dat", *(["-q"] if quiet else []))
        assert asked == [(what, quiet) for what in told]
