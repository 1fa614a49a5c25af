"""The explorer through Textual's Pilot: what stands on which row."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("textual", reason="extra: Textual is not installed")

import kfgraph
from kfgraph.model.calls import Flag
from kfgraph.render.explorer.explorer import Explorer
from kfgraph.render.explorer.facts import FLAG_WORDS
from kfgraph.render.rowmodel import FLAG_MARKS
from running import kfgraph as run_kfgraph

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def screens(name: str, *keys: str, size: tuple[int, int] = (120, 30)) -> list[list[str]]:
    """The lines of the screen at the start and after each of the keys (several with commas)."""
    found: list[list[str]] = []

    async def go() -> None:
        app = Explorer(kfgraph.load(EXAMPLES / name), {})
        async with app.run_test(size=size) as pilot:
            for key in ("", *keys):
                if key:
                    await pilot.press(*key.split(","))
                for _ in range(3):
                    await pilot.pause()
                found.append(["".join(s.text for s in strip) for strip in app.screen._compositor.render_strips()])

    # In a thread: the browser tests leave an event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, go()).result()
    return found


def test_it_opens_on_where_the_error_was_born() -> None:
    (lines,) = screens("insmod-foo-fail19.dat", size=(150, 30))
    assert "first returned by foo_read_id [foo], its 3rd call" in lines[1]
    assert sum("foo_read_id [foo] = -19 ENODEV" in line for line in lines) == 1
    # The panel is about the row at the cursor.
    assert any(line.rstrip().endswith("foo_read_id [foo]") for line in lines[4:6])
    assert any("returned" in line and "-19 ENODEV" in line for line in lines)


def test_a_closed_call_opens_and_closes() -> None:
    start, first, closed, opened = screens("insmod-foo-fail19.dat", "g", "enter", "enter", size=(100, 24))
    assert "+" in closed[4] and "insmod-116 … 5,811 calls" in closed[4]
    assert "- insmod-116" in opened[4] and "load_module = -19 ENODEV" in opened[5]
    assert first[4:20] == opened[4:20] != start[4:20]


def test_search_counts_and_goes_on() -> None:
    _, found = screens("insmod-foo-fail19.dat", "g,slash,f,o,o,_,r,e,a,d,enter", size=(100, 24))
    assert "/foo_read: 1 of 3 matches" in found[-2]
    assert any("foo_read_id [foo]" in line for line in found[4:-2])


def test_views() -> None:
    _, top, errors, why, keys = screens("insmod-foo-fail19.dat", "3", "5", "6", "question_mark", size=(120, 60))
    assert "445 functions" in top[3] and "schedule" in top[5]
    assert any("began in, and what became of it" in line for line in errors)
    assert any("born here" in line for line in why)
    assert any("next call that failed" in line for line in keys)


def test_without_colours_everything_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    start, top, keys = screens("insmod-foo-fail19.dat", "3", "question_mark", size=(150, 30))
    assert any("foo_read_id [foo] = -19 ENODEV" in line for line in start)
    assert "445 functions" in top[3] and any("one row up" in line for line in keys)


@pytest.mark.parametrize("words", [("ui",), ("show", "-i"), ("show", "--interactive", "--root", "*")], ids=" ".join)
def test_without_a_terminal_it_says_what_to_type(words: tuple[str, ...]) -> None:
    code, out, err = run_kfgraph(*words, str(EXAMPLES / "cat-enoent.dat"))
    assert (code, out) == (2, "") and "terminal" in err and "kfgraph show" in err


def test_every_flag_that_show_marks_is_told_in_its_words() -> None:
    assert {(flag, words) for flag, _, words in FLAG_MARKS} < set(FLAG_WORDS.items())
    assert set(Flag) - set(FLAG_WORDS) == {Flag.HAS_RETVAL}


@pytest.mark.parametrize("command", ["ui", "show"])
def test_the_explorer_reads_types_from_files(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[dict[str, object]] = []

    def run(self: Explorer) -> int:
        opened.append(dict(self.filters))
        return 0

    monkeypatch.setattr(Explorer, "run", run)
    monkeypatch.setattr("os.isatty", lambda _: True)
    words = ["ui"] if command == "ui" else ["show", "-i"]
    trace = EXAMPLES / "insmod-foo-fail19.dat"
    assert run_kfgraph(*words, trace, "--root", "load_module", "--btf", EXAMPLES / "absent.btf")[0] == 5
    code, _, err = run_kfgraph(*words, trace, "--root", "load_module", *(["--depth", "3"] if command == "show" else []))
    assert (code, opened) == (0, [{"root": ["load_module"]}]), err
    assert ("--depth does nothing with --interactive" in err) == (command == "show")
