"""The explorer through Textual's Pilot: what stands on which row."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("textual", reason="extra: Textual is not installed")

from textual import events
from textual.widgets import Static

import kfgraph
from builder.tables import Call, call, trace_of
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.lookup import _largest
from kfgraph.analyze.sourcelinks import SourceLinks
from kfgraph.cli.explore import _write, _write_lines
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.model.tree import TreeTable
from kfgraph.render.explorer import surface
from kfgraph.render.explorer.explorer import Explorer
from kfgraph.render.explorer.facts import FLAG_WORDS, Facts
from kfgraph.render.explorer.keys import KEYS
from kfgraph.render.explorer.window import Window
from kfgraph.render.rowmodel import FLAG_MARKS
from running import kfgraph as run_kfgraph

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def screens(
    name: str | Trace, *keys: str, size: tuple[int, int] = (120, 30), **given: Any
) -> list[list[str]]:
    """The lines of the screen at the start and after each of the keys (several with commas).

    ``WIDTHxHEIGHT`` among the keys is another size of the terminal, ``@COLUMN,LINE`` a click, with ``,wheel``
    behind it a turn of the wheel.
    """
    found: list[list[str]] = []

    async def go() -> None:
        trace = kfgraph.load(EXAMPLES / name) if isinstance(name, str) else name
        app = Explorer(trace, given.pop("filters", {}), **given)
        async with app.run_test(size=size) as pilot:
            for key in ("", *keys):
                if re.fullmatch(r"\d+x\d+", key):
                    await pilot.resize_terminal(*map(int, key.split("x")))
                elif key.startswith("@"):
                    column, line, *wheel = key[1:].split(",")
                    if wheel:
                        at = (int(column), int(line), 0, 1, 0, False, False, False)
                        app.screen.post_message(events.MouseScrollDown(None, *at, *at[:2]))
                    else:
                        await pilot.click(offset=(int(column), int(line)))
                elif key:
                    await pilot.press(*key.split(","))
                await pilot.pause()
                while any(thread.name == "kfgraph-aside" for thread in threading.enumerate()):
                    await pilot.pause(0.01)
                for _ in range(3):
                    await pilot.pause()
                found.append(["".join(s.text for s in strip) for strip in app.screen._compositor.render_strips()])
        SAID.append(app)

    # In a thread: the browser tests leave an event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, go()).result()
    return found


SAID: list[Explorer] = []
"""The explorers that ended."""


def rows_of(screen: list[str]) -> list[str]:
    """The rows of a tree, without the panel."""
    top = next(i for i, line in enumerate(screen) if line.split("│")[0].rstrip().endswith("  function"))
    beside = {line.rfind("│") for line in screen[top + 1 : -2]}
    end = beside.pop() if len(beside) == 1 else None
    return [line[:end].rstrip() for line in screen[top + 1 : -2] if line[:end].strip()]


def names_of(screen: list[str]) -> list[str]:
    """What stands behind the guides in these rows."""
    at = next(line.index("  function") for line in screen if "  function" in line)
    return [line[at + 3 :].lstrip("│├▸▁▂▃▄▅▆▇ ").rstrip(" ▁▂▃▄▅▆▇") for line in rows_of(screen)]


def times_of(screen: list[str]) -> list[str]:
    """The first time in each of these rows."""
    return [" ".join(line[2:].split()[:2]) for line in rows_of(screen)]


def test_it_opens_on_where_the_error_was_born() -> None:
    (lines,) = screens("insmod-foo-fail19.dat", size=(150, 30))
    assert "first returned by foo_read_id [foo], its 3rd call" in lines[1]
    assert sum("foo_read_id [foo] = -19 ENODEV" in line for line in lines) == 1
    # The panel is about the row at the cursor.
    assert any(line.rstrip().endswith("foo_read_id [foo]") for line in lines[4:6])
    assert any("returned" in line and "-19 ENODEV" in line for line in lines)


def test_the_panel_tells_where_the_source_is() -> None:
    trace = kfgraph.load(EXAMPLES / "insmod-foo-fail19.dat")
    ours = SourceLinks(trace, trees=[EXAMPLES / "foo"])
    (shown,) = screens(trace, links=ours, size=(160, 60))
    assert any(re.search(r"│ source    foo\.c:\d+$", line.rstrip()) for line in shown)
    (shown,) = screens(trace, links=SourceLinks(trace), size=(160, 60))
    assert not any("source " in line for line in shown)
    (shown,) = screens("cat-enoent.dat", links=SourceLinks(kfgraph.load(EXAMPLES / "cat-enoent.dat")), size=(200, 60))
    told = "".join(line.rpartition("│")[2].strip() for line in shown).replace(" ", "")
    assert re.search(r"sourcehttps://elixir\.bootlin\.com/linux/v7\.2\.13/A/ident/[a-z_]+", told)
    facts = Facts(Window(call_tree(trace)), ours)
    node = int(np.flatnonzero(facts.window.tree.label == trace.symbols.labels.index("foo_probe [foo]"))[0])
    (line,) = [line for line in facts.lines(node, 60) if line.plain.startswith("source")]
    assert [span.style.link for span in line.spans if getattr(span.style, "link", None)] == [ours.of("foo_probe [foo]")]


def test_an_interrupt_is_a_row_that_opens_and_the_panel_tells_what_interrupts_took() -> None:
    def hit(ns: int) -> tuple[Call, ...]:
        vector = call("__sysvec_apic_timer_interrupt", ns, call("hrtimer_interrupt", 2_000), context=2)
        return call("irq_enter_rcu", 1_000), vector, call("irq_exit_rcu", 500)

    trace = trace_of([call("read", 50_000, *hit(7_000), *hit(9_000), call("copy", 4_000, *hit(3_000)))])
    _, at_it, opened = screens(trace, "g,enter,slash,t,i,m,e,r,space,i,enter", "enter", size=(140, 24))
    assert any("⚡ timer interrupt × 2" in line and "… 8 calls" in line for line in at_it)
    assert not any("irq_enter_rcu" in line for line in at_it) and any("irq_enter_rcu" in line for line in opened)
    said = " ".join(line.rpartition("│ ")[2].strip() for line in at_it[1:])
    assert "⚡ timer interrupt" in said and "times     2" in said and "average   11.500 us" in said
    assert "it hit the call above it" in said
    facts = Facts(Window(call_tree(trace, group_interrupts=True)))
    tree = facts.window.tree
    told = {tree.labels[tree.label[i]]: {f.name: f.text for f in facts.of(i)} for i in range(len(tree))}
    assert told["read"]["irq"] == "29.500 us, 23.000 us itself"
    assert told["copy"]["irq"] == "6.500 us" and "irq" not in told["irq_enter_rcu"]
    # No interrupt is the slowest callee.
    read = tree.labels.index("read")
    at = int(np.flatnonzero(tree.label == read)[0])
    assert tree.labels[tree.label[facts.window.rows.hottest(at)]] == "copy"


def test_keys_move_the_cursor_and_not_the_screen_alone() -> None:
    """A tree longer than the screen can be scrolled: that is for the wheel."""
    found = screens("insmod-foo-fail19.dat", "g,E", "down", "pagedown", "up", "end", "pageup", "home", size=(100, 20))
    said = [re.search(r"row ([\d,]+) of ([\d,]+)", lines[0]) for lines in found[1:]]
    assert [int(row[1].replace(",", "")) for row in said if row] == [1, 2, 15, 14, 5_820, 5_807, 1]
    _, start, paged, end, home = screens("insmod-foo-fail19.dat", "7", "pagedown", "G", "g", size=(100, 12))
    assert start[0] == paged[0] == end[0] and start[-2] == paged[-2] == end[-2] == home[-2], "frames scroll"
    assert start[2:-2] != paged[2:-2] != end[2:-2] and home[2:-2] == start[2:-2]


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
    assert "445 functions" in top[3] and "kernfs_activate" in top[5]
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


def test_zoom_and_back_are_of_their_view() -> None:
    _, zoomed, merged, below, calls, back, whole = screens(
        "insmod-foo-fail19.dat", "p,p,z", "2", "z", "1", "Z", "2,Z", size=(110, 24)
    )
    assert "row 1 of 5" in zoomed[0] and "zoom: foo_probe [foo] (Z: back)" in zoomed[0]
    assert names_of(zoomed)[0] == "foo_probe [foo] = -19 ENODEV" and "100.0%" in rows_of(zoomed)[0]
    assert times_of(zoomed) == ["834.724 us", "131.327 us", "24.847 us", "27.382 us", "20.479 us"]
    assert "merged" in merged[0] and "zoom" not in merged[0] and "row 12 of" in merged[0]
    assert "merged" in below[0] and "zoom: cpuacct_charge" in below[0] and names_of(below) == ["cpuacct_charge"]
    assert "zoom: foo_probe [foo]" in calls[0] and rows_of(calls) == rows_of(zoomed)
    assert "zoom" not in back[0] and "row 213 of 235" in back[0]
    assert "merged" in whole[0] and "zoom" not in whole[0] and rows_of(whole) == rows_of(merged)


def test_hidden_calls_are_counted_and_come_back() -> None:
    _, hidden, two, one, none, task = screens("insmod-foo-fail19.dat", "x", "k,x", "u", "u", "g,x", size=(110, 24))
    assert hidden[-2].startswith("3 calls of foo_read_id [foo] hidden (u)")
    assert not any("foo_read_id" in name for name in names_of(hidden))
    assert two[-2].startswith("6 calls of foo_probe_slot [foo], foo_read_id [foo] hidden (u)")
    assert not any("foo_probe_slot" in name for name in names_of(two))
    assert one[-2] == hidden[-2] and any("foo_probe_slot" in name for name in names_of(one))
    assert any("foo_read_id" in name for name in names_of(none)) and not none[-2].strip()
    assert "x hides the calls of one" in task[-2]


def test_all_may_be_hidden_and_comes_back() -> None:
    _, nothing, back = screens("insmod-foo-fail19.dat", "z,x", "u", size=(110, 24))
    assert rows_of(nothing) == [] and nothing[-2].startswith("3 calls of foo_read_id [foo] hidden (u)")
    assert names_of(back) == ["foo_read_id [foo] = -19 ENODEV", "__const_udelay … 1 call"]


def test_what_is_hidden_in_one_view_is_shown_in_another() -> None:
    _, merged, calls = screens("insmod-foo-fail19.dat", "x,2", "u,1", size=(110, 24))
    assert not merged[-2].strip() and calls[-2].startswith("3 calls of foo_read_id [foo] hidden (u)")


def test_a_search_goes_round_and_says_what_it_does_not_see() -> None:
    every, second, third, first, before, zoomed, listed, more, bad = screens(
        "insmod-foo-fail19.dat", "g,slash,f,o,o,_,r,e,a,d,enter", "n", "n", "n", "N", "p,z,n",
        "Z,3,slash,k,f,r,e,e,enter", "n", "1,slash,left_parenthesis,enter", size=(110, 24),
    )[1:]  # fmt: skip
    assert [screen[-2].split(" (")[0].strip() for screen in (every, second, third, first, before)] == [
        f"/foo_read: {i} of 3 matches" for i in (1, 2, 3, 1, 3)
    ]
    assert zoomed[-2].startswith("/foo_read: 1 of 1 match, 2 more not in what is shown (n, N)")
    assert listed[-2].startswith("/kfree: 1 of 3 lines (n, N)") and " top" in listed[0]
    assert more[-2].startswith("/kfree: 2 of 3 lines (n, N)")
    assert "no regular expression" in bad[-2]


def test_capitals_count_where_one_is_typed() -> None:
    _, small, capital, none = screens(
        "insmod-foo-fail19.dat", "slash,r,c,u,enter", "slash,full_stop,R,C,U,enter", "N", size=(110, 24)
    )
    assert "/rcu: 319 of 437 matches (n, N)" in small[-2]
    assert "no match of .RCU in what is shown" in capital[-2]
    assert "no match of .RCU in what is shown" in none[-2]


def test_callees_by_time_or_in_order() -> None:
    _, by_time, again = screens("insmod-foo-fail19.dat", "p,p,z,t", "t", size=(110, 24))
    assert times_of(by_time) == ["834.724 us", "131.327 us", "27.382 us", "20.479 us", "24.847 us"]
    assert by_time[-2].startswith("callees by time (t)")
    assert times_of(again) == ["834.724 us", "131.327 us", "24.847 us", "27.382 us", "20.479 us"]


def test_calls_of_one_function_fold_into_one_row() -> None:
    _, folded, opened, unfolded, alone = screens(
        "insmod-foo-fail19.dat", "p,m", "enter", "h,m", "p,p,m", size=(150, 24)
    )
    (row,) = [name for name in names_of(folded) if "foo_probe_slot" in name]
    assert row.startswith("foo_probe_slot [foo] × 3") and "-19 ENODEV" in row
    # 131.327 + 24.847 + 27.382
    assert "183.556 us" in times_of(folded) and any("3 of one caller" in line for line in folded)
    assert [name.split(" [")[0] for name in names_of(opened)].count("foo_probe_slot") == 4
    assert "183.556 us" not in times_of(unfolded)
    assert "no two calls of one function" in alone[-2]


def test_values_and_start_times_come_and_go() -> None:
    _, returns, neither, start, without, merged = screens(
        "insmod-foo-fail19.dat", "p,p,z,a", "a,a", "b", "b", "2,b", size=(110, 24)
    )
    assert names_of(returns)[1] == "foo_probe_slot [foo] = 0 … 3 calls"
    assert names_of(neither)[1] == "foo_probe_slot [foo] … 3 calls"
    head = next(line for line in start if "function" in line)
    assert head.split()[:2] == ["start", "s"] and rows_of(start)[1].split()[0] == "0.701133"
    assert not any("start s" in line for line in without)
    assert "no one start" in merged[-2]


def test_arguments_stand_beside_the_names() -> None:
    trace = trace_of([call("open", 9_000, call("path", 5_000, args="name=0x7f flags=2"), args="dfd=-100")])
    start, both = screens(trace, "a,a", size=(110, 24))
    assert not any("dfd" in name for name in names_of(start))
    assert any(name.startswith("open(dfd=-100)") for name in names_of(both))


def test_the_hot_path_opens_to_its_leaf() -> None:
    _, closed, leaf, all_, none = screens("insmod-foo-fail19.dat", "g,C", "o", "g,E", "C", size=(120, 30))
    assert names_of(closed) == ["insmod-116 … 5,811 calls"]
    assert "row 1 of 5,820" in all_[0] and "row 1 of 1" in none[0]
    assert "│ cpuacct_charge" in "".join(leaf)
    panel = [line.rsplit("│ ", 1)[-1].strip() for line in leaf if "│ " in line]
    assert "schedule" in panel and "called by" in " ".join(panel)


def test_next_slow_and_next_failing_calls() -> None:
    _, first, second, back, failing, again = screens(
        "insmod-foo-fail19.dat", "g,s", "s", "S", "g,f", "f", size=(120, 40)
    )

    def panel(screen: list[str]) -> dict[str, str]:
        lines = [line.rsplit("│ ", 1)[-1].rstrip() for line in screen if "│ " in line]
        return {line[:10].strip(): line[10:].strip() for line in lines}

    assert first[0] != second[0] and back[0] == first[0]
    assert panel(first)["self"] != panel(second)["self"]
    assert panel(failing)["returned"] == "-19 ENODEV" == panel(again)["returned"]
    assert failing[0] != again[0]


def test_the_mouse() -> None:
    start, on_it, opened, closed, turned, footer = screens(
        "insmod-foo-fail19.dat", "@50,8", "@50,8", "@50,8", "@50,8,wheel", "@5,23", size=(110, 24)
    )
    # 3 lines and the titles are above the rows.
    row = 217 - names_of(start).index("foo_read_id [foo] = -19 ENODEV … 2 calls")
    assert f"row {row + 4} of 235" in on_it[0] and names_of(on_it) == names_of(start)
    assert names_of(on_it)[4].startswith("foo_probe_slot [foo] … 3 calls")
    assert "of 236" in opened[0] and names_of(opened)[4:6] == ["foo_probe_slot [foo]", "foo_read_id [foo] … 2 calls"]
    assert "of 235" in closed[0] and names_of(closed) == names_of(start)
    assert names_of(turned)[0] != names_of(closed)[0] and names_of(turned)[0] in names_of(closed)
    assert footer[0] == turned[0]


def test_a_task_is_chosen_for_every_view() -> None:
    trace = trace_of(
        [call("first", 9_000, call("inner", 4_000))], [call("second", 7_000, call("inner", 1_000))],
    )  # fmt: skip
    labels = [task.label for task in trace.tasks.tasks]
    start, asked, calls, top, merged, every = screens(
        trace, "T", "down,down,enter", "3", "2", "T,enter", size=(120, 30)
    )
    assert sum(label in line for label in labels for line in rows_of(start)) == 2
    assert any("all tasks (2)" in line for line in asked)
    assert f"{labels[1]} (T: others)" in calls[0] and names_of(calls)[0].startswith(labels[1])
    assert not any(labels[0] in line for line in rows_of(calls))
    assert any("second" in line for line in top) and not any("first" in line for line in top[3:-2])
    assert any("second" in name for name in names_of(merged)) and not any("first" in name for name in names_of(merged))
    assert "T: others" not in every[0] and [name.split(" ")[0] for name in names_of(every)][:2] == labels


def test_the_call_path_is_copied() -> None:
    _, said, listed = screens("insmod-foo-fail19.dat", "y", "3,y", size=(120, 24))
    path = "insmod-116;load_module;do_init_module;do_one_initcall;foo_init [foo];foo_probe [foo];foo_probe_slot [foo];"
    assert said[-2].startswith("copied: 8 functions")
    assert listed[-2].startswith("copied: kernfs_activate") and SAID[-1].clipboard == "kernfs_activate"
    screens("insmod-foo-fail19.dat", "y", size=(120, 24))
    assert SAID[-1].clipboard == path + "foo_read_id [foo]"


def test_what_is_in_view_is_written(tmp_path: Path) -> None:
    trace = kfgraph.load(EXAMPLES / "insmod-foo-fail19.dat")
    given = {"export": lambda path, filters: _write(trace, path, filters), "export_text": _write_lines}

    def keys(path: Path) -> str:
        named = {"/": "slash", ".": "full_stop", "-": "minus", "_": "underscore"}
        return ",".join(named.get(c, c) for c in str(path))

    whole, zoom, text, listed = (tmp_path / name for name in ("a.csv", "b.csv", "c.txt", "d.txt"))
    asked, said, _, _, last = screens(
        trace, "p,z,e", f"ctrl+u,{keys(zoom)},enter", f"e,ctrl+u,{keys(text)},enter",
        f"3,e,ctrl+u,{keys(listed)},enter", f"1,Z,e,ctrl+u,{keys(whole)},enter", size=(120, 30), **given,
    )[1:]  # fmt: skip
    question = " ".join(" ".join(line.strip(" │") for line in asked).split())
    chosen = "--root 'foo_probe_slot [foo]' --task insmod-116 --from 0.701304834 --to 0.701332216"
    assert f"Write the calls of {chosen} into" in question
    assert f"wrote {whole}" in last[-2]
    assert f"wrote {zoom}: csv" in said[-2]
    # This call alone: others of its function are not in view.
    assert len(zoom.read_text().splitlines()) == 1 + 4
    assert len(whole.read_text().splitlines()) == 1 + 5_811
    rows = text.read_text().splitlines()
    assert "function" in rows[0] and len(rows) == 3 and "foo_probe_slot [foo] = -19 ENODEV" in rows[1]
    assert listed.read_text().startswith("445 functions, 5,811 calls") and "schedule" in listed.read_text()


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    trace = kfgraph.load(EXAMPLES / "cat-enoent.dat")
    given = {"export": lambda path, filters: _write(trace, path, filters), "export_text": _write_lines}
    minus, nowhere = screens(
        trace, "e,ctrl+u,minus,enter", "e,ctrl+u,slash,n,o,slash,x,full_stop,c,s,v,enter", size=(120, 24), **given
    )[1:]  # fmt: skip
    assert "name a file" in minus[-2]
    assert "/no/x.csv" in nowhere[-2] and "No such file" in nowhere[-2]


@pytest.mark.parametrize("width", [60, 80, 104, 140, 200])
def test_any_width_and_another_size_while_open(width: int) -> None:
    first, second, third = screens("insmod-foo-fail19.dat", f"{260 - width}x18", f"{width}x24", size=(width, 24))
    for screen, columns in ((first, width), (second, 260 - width), (third, width)):
        assert all(len(line) == columns for line in screen)
        assert "?  keys" in screen[-1] and "q  quit" in screen[-1]
        assert any("-19 ENODEV" in line for line in rows_of(screen))
    assert first == third
    assert any("│ task      insmod-116" in line for line in first) == (width >= 120)


def test_a_large_trace_is_explained_while_the_screen_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    small = screens("insmod-foo-fail19.dat", "5", "6", size=(140, 30))
    monkeypatch.setattr(surface, "_AT_ONCE", 0)
    large = screens("insmod-foo-fail19.dat", "5", "6", size=(140, 30))
    assert large[1:] == small[1:] and large[0][:3] == small[0][:3]
    assert "foo_read_id [foo] = -19 ENODEV … 2 calls" in names_of(large[0])


def test_the_cursor_stays_where_a_key_has_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surface, "_AT_ONCE", 0)
    answered, made = threading.Event(), Explorer._explained

    def slowly(self: Explorer) -> object:
        answered.wait(20)
        return made(self)

    monkeypatch.setattr(Explorer, "_explained", slowly)
    found: list[tuple[int, str]] = []

    async def go() -> None:
        app = Explorer(kfgraph.load(EXAMPLES / "insmod-foo-fail19.dat"), {})
        async with app.run_test(size=(120, 30)) as pilot:
            await pilot.press("g", "j")
            answered.set()
            while app._answer is None:
                await pilot.pause(0.01)
            await pilot.pause()
            found.append((app.rows.cursor, str(app._first_lines()[0])))

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, go()).result()
    assert found[0][0] == 1 and "foo_read_id" in found[0][1]


def test_an_end_does_not_wait_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surface, "_AT_ONCE", 0)
    never = threading.Event()
    monkeypatch.setattr(Explorer, "_explained", lambda self: never.wait(60))

    async def go() -> int | None:
        app = Explorer(kfgraph.load(EXAMPLES / "cat-enoent.dat"), {})
        async with app.run_test() as pilot:
            await pilot.press("q")
        return app.return_value

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncio.run, go()).result(timeout=30) == 0
    never.set()


def test_every_key_is_listed_and_has_its_action() -> None:
    names = [name for _, keys in KEYS for key in keys for name in key.keys.split(",")]
    assert len(names) == len(set(names))
    for _, keys in KEYS:
        for key in keys:
            assert hasattr(Explorer, f"action_{key.action.split('(')[0]}"), key.action
    (_, shown) = screens("cat-enoent.dat", "question_mark", size=(120, 70))
    text = "\n".join(shown)
    page = (EXAMPLES.parent / "docs" / "ui.md").read_text()
    for _, keys in KEYS:
        for key in keys:
            assert key.shown in text and key.words[:40] in text
            assert f"| `{key.shown}` | {key.words} |" in page


def test_keys_without_a_use_here_say_so() -> None:
    for key in ("z", "m", "t", "x", "f", "s", "o", "E"):
        _, listed = screens("insmod-foo-fail19.dat", f"3,{key}", size=(100, 20))
        assert "this key is for trees" in listed[-2], key


def test_without_textual_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *a: None if name == "textual" else found(name, *a))
    for words in (("ui",), ("show", "-i")):
        code, out, err = run_kfgraph(*words, EXAMPLES / "cat-enoent.dat")
        assert (code, out) == (3, "") and "Textual" in err and "pip install 'kfgraph[ui]'" in err


def test_ascii_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    start, top, keys = screens("insmod-foo-fail19.dat", "3", "question_mark", size=(150, 30))
    for screen in (start, top, keys):
        assert all(line.isascii() for line in screen)
    assert any("foo_read_id [foo] = -19 ENODEV" in line for line in start)


def test_hostile_names_are_spelt_out() -> None:
    trace = trace_of([call("evil\x1b]0;x", 9_000, call("[bold]x", 4_000))])
    every = screens(trace, "E", "3", "2", "T", size=(120, 30))
    text = "".join("".join(screen) for screen in every)
    assert "\x1b" not in text and "evil\\x1b]0;x" in text and "[bold]x" in text


def frames_of(screen: list[str]) -> list[list[str]]:
    """The names in each level of the flame graph."""
    return [line.split("│")[1:] for line in screen[2:-2] if "│" in line]


def test_the_flame_graph() -> None:
    # In ns: a 60 (b 40 (c 30), d 10), e 40.
    trace = trace_of([call("a", 10_000, call("b", 10_000, call("c", 30_000)), call("d", 10_000)), call("e", 40_000)])
    start, down, leaf, side, zoomed, back, found, copied, written = screens(
        trace, "7", "j,j", "o", "k,k,l", "h,z", "Z", "slash,d,enter", "y", "1", size=(101, 20)
    )[1:]  # fmt: skip
    # No return value was recorded: nothing is said of a failure.
    assert start[1].startswith("hot path: task0-100 → a → b → c  30.000 us, 30.0%")
    levels = frames_of(start)
    assert [[name.split()[0] for name in level if name.strip()] for level in levels] == [
        ["task0-100"], ["a", "e"], ["b", "d"], ["c"]
    ]  # fmt: skip
    # 100 columns: one for each 1 %.
    assert [len(name) + 1 for name in levels[2][:1]] == [40]
    assert start[-2].startswith("task0-100  100.000 us, 100.0% of all, 0 ns its own, 0 calls")
    assert down[-2].startswith("b  40.000 us, 40.0% of all, 10.000 us its own, 1 call")
    assert leaf[-2].startswith("c  30.000 us, 30.0% of all, 30.000 us its own")
    assert side[-2].startswith("e  40.000 us")
    assert "zoom: a (Z: back)" in zoomed[0] and zoomed[-2].startswith("a  60.000 us")
    assert [name.split()[0] for name in frames_of(zoomed)[1] if name.strip()] == ["b", "d"]
    assert len(frames_of(zoomed)[1][0]) + 1 == round(100 * 40 / 60)
    assert "zoom" not in back[0] and frames_of(back) == levels
    assert "/d: 1 of 1 frame (n, N)" in found[-2] and found[-2].startswith("d  10.000 us")
    assert copied[-2].startswith("copied: task0-100 → a → d") and SAID[-1].clipboard == "task0-100;a;d"
    assert names_of(written)[0].startswith("task0-100")


def test_the_flame_graph_takes_the_mouse_and_is_written(tmp_path: Path) -> None:
    trace = trace_of([call("a", 10_000, call("b", 50_000)), call("e", 40_000)])
    given = {"export_text": _write_lines, "export": lambda path, filters: "", "filters": {}}
    path = tmp_path / "f.svg"
    named = {"/": "slash", ".": "full_stop", "-": "minus", "_": "underscore"}
    typed = ",".join(named.get(c, c) for c in str(path))
    start, on_b, zoomed, said = screens(
        trace, "7", "@20,4", "@20,4", f"e,ctrl+u,{typed},enter", size=(101, 24), **given
    )[1:]  # fmt: skip
    assert start[-2].startswith("task0-100")
    assert on_b[-2].startswith("b  50.000 us, 50.0% of all")
    assert "zoom: b" in zoomed[0]
    assert f"wrote {path}: a flame graph" in said[-2] and path.read_text().startswith("<")
    assert "<svg" in path.read_text()


@pytest.mark.parametrize("words", [
    (), ("--no-links",), ("--source", EXAMPLES / "foo"), ("--link", "https://x/{version}/{function}"),
    ("--debuginfo",),
])  # fmt: skip
def test_the_written_flame_graph_is_that_of_flame(
    words: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Callable[[str, str], str]
) -> None:
    if words == ("--debuginfo",):
        info = 'const char info[] __attribute__((section(".modinfo"))) = "name=foo\\0vermagic=6.1";'
        (tmp_path / "foo.c").write_text(f"{info}\nint foo_read_id(int slot) {{ return slot; }}\n")
        subprocess.run([program("gcc", "gcc"), "-g", "-c", "foo.c", "-o", "foo.ko"], cwd=tmp_path, check=True)
        words = ("--debuginfo", tmp_path / "foo.ko")
    trace, ours, theirs = EXAMPLES / "insmod-foo-fail19.dat", tmp_path / "ours.svg", tmp_path / "theirs.svg"
    opened: list[Explorer] = []

    def run(self: Explorer) -> int:
        opened.append(self)
        return 0

    monkeypatch.setattr(Explorer, "run", run)
    monkeypatch.setattr("os.isatty", lambda _: True)
    assert run_kfgraph("ui", trace, *words)[0] == 0
    app = opened[0]
    named = {"/": "slash", ".": "full_stop", "-": "minus", "_": "underscore"}
    typed = ",".join(named.get(c, c) for c in str(ours))
    given = {"export": app._export, "export_text": app._export_text, "links": app._links}
    said = screens(app.trace, "7", f"e,ctrl+u,{typed},enter", size=(150, 24), **given)[-1]
    assert f"wrote {ours}: a flame graph" in said[-2]
    assert run_kfgraph("flame", trace, "--by", "time", "-o", theirs, *words)[0] == 0
    assert ours.read_text() == theirs.read_text()
    assert ("foo.c#L" in ours.read_text()) == (words[:1] in (("--source",), ("--debuginfo",)))
    assert ("https://" in ours.read_text()) == (words != ("--no-links",))


def test_any_view_is_written_as_a_flame_graph(tmp_path: Path) -> None:
    """Of a zoom what is in view."""
    trace = trace_of([call("a", 10_000, call("b", 50_000, call("c", 5_000))), call("e", 40_000)])
    given = {"export_text": _write_lines, "export": lambda path, filters: "", "filters": {}}
    path = tmp_path / "f.svg"
    named = {"/": "slash", ".": "full_stop", "-": "minus", "_": "underscore"}
    typed = ",".join(named.get(c, c) for c in str(path))

    def frames(*keys: str) -> list[str]:
        said = screens(trace, *keys, f"e,ctrl+u,{typed},enter", size=(150, 24), **given)[-1]
        assert f"wrote {path}: a flame graph" in said[-2]
        return re.findall("<title>([^:]*): ([^,]*)", path.read_text())

    assert frames() == [
        ("task0-100", "105.000 us"), ("a", "65.000 us"), ("b", "55.000 us"), ("c", "5.000 us"), ("e", "40.000 us")
    ]  # fmt: skip
    assert frames("3") == frames()
    assert [name for name, _ in frames("slash,b,enter", "z")] == ["b", "c"]


def test_the_slowest_of_many_calls_are_found_in_a_sample_of_them() -> None:
    rng = np.random.default_rng(1)
    for values in (rng.integers(0, 10**9, 400_000), np.zeros(300_000, np.int64), rng.integers(0, 3, 300_000)):
        values = values.astype(np.int64)
        n = 100
        found = _largest(values, n)
        least = np.sort(values)[-n]
        assert found.tolist() == np.flatnonzero(values >= max(least, 1)).tolist()


def test_the_callers_of_the_function_at_the_cursor() -> None:
    trace = trace_of(
        [call("a", 10_000, call("kfree", 4_000)), call("b", 5_000, call("kfree", 6_000), call("c", 1_000))],
        [call("a", 3_000, call("kfree", 2_000))],
    )
    labels = [task.label for task in trace.tasks.tasks]
    callers, copied, other, none, listed, flame = screens(
        trace, "slash,k,f,r,e,e,enter,8", "g,E,G,y", "1,slash,c,dollar_sign,enter,c", "1,g,8", "3,8", "7,o,8",
        size=(100, 20),
    )[1:]  # fmt: skip
    assert " callers  row " in callers[0]
    assert (names_of(callers)[0], times_of(callers)[0]) == ("kfree", "12.000 us")
    # By time: b and a had 6 us each, of a 4 in one task and 2 in the other.
    assert sorted(zip(names_of(copied), times_of(copied), strict=True)) == sorted([
        ("kfree", "12.000 us"), ("a", "6.000 us"), ("b", "6.000 us"), (labels[0], "4.000 us"), (labels[0], "6.000 us"),
        (labels[1], "2.000 us"),
    ])  # fmt: skip
    assert SAID[-1].clipboard.endswith(";kfree") and SAID[-1].clipboard.startswith("task")
    assert names_of(other) == ["c", "b", labels[0]]
    assert "no function" in none[-2]
    assert " callers" in listed[0] and " callers" in flame[0]


def test_a_flame_graph_without_a_known_time_has_no_frame() -> None:
    trace = trace_of([call("a", 0, call("b", 0, unfinished=True), unfinished=True)])
    keys = (*"gjklzZoycupnNsSfFabxG", "enter", "backspace", "escape")
    shown = screens(trace, "7", *keys, "1", size=(100, 20))[1:]
    assert "no time is known" in shown[0][-2]
    for key, lines in zip(keys, shown[1:], strict=False):
        assert " 0 frames " in lines[0], (key, lines)
    assert names_of(shown[-1])[0].startswith("task0-100")


def test_the_slow_calls_are_those_of_the_callers_that_are_shown() -> None:
    trace = trace_of([call("x", 5_000, call("f", 9_000)), call("y", 5_000, call("z", 2_000, call("g", 9_000)))])
    _, _, third = screens(
        trace, "slash,f,dollar_sign,enter,8,s", "1,slash,g,dollar_sign,enter,8,s,s,s", size=(100, 20)
    )
    # Of f there are two such rows, of g a third.
    assert third[0].split("  ")[1:3] == ["callers", "row 3 of 4"]


def test_a_zoom_is_written_no_further_than_the_filter_goes() -> None:
    trace = trace_of([call("a", 10_000, call("b", 500_000), call("c", 500_000))])
    given: list[dict[str, Any]] = []

    def export(path: str, filters: Any) -> str:
        given.append(dict(filters))
        return f"wrote {path}"

    for to_s, expected in ((0.0004, 0.0004), (5.0, 0.00101)):
        screens(
            trace, "g,j,z", "e,ctrl+u,t,full_stop,c,s,v,enter", size=(100, 20), export=export,
            filters={"to_s": to_s}, export_text=_write_lines,
        )  # fmt: skip
        assert given[-1]["to_s"] == pytest.approx(expected), given[-1]


def test_what_says_the_same_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, bool]] = []
    update = Static.update

    def counted(self: Static, content: Any = "", *, layout: bool = True) -> None:
        drawn.append((self.id or "", layout))
        update(self, content, layout=layout)

    monkeypatch.setattr(Static, "update", counted)

    async def go() -> None:
        app = Explorer(kfgraph.load(EXAMPLES / "insmod-foo-fail19.dat"), {})
        async with app.run_test(size=(100, 30)) as pilot:
            for _ in range(3):
                await pilot.pause()
            assert {name for name, _ in drawn} >= {"title", "head", "keys", "status"}
            for key, told in (("j", {"title"}), ("j", {"title"}), ("G", {"title"})):
                drawn.clear()
                await pilot.press(key)
                await pilot.pause()
                assert {name for name, _ in drawn} - {"status", "answer"} == told, key
                assert not any(layout for name, layout in drawn if name != "answer"), "nothing moves"
            drawn.clear()
            await pilot.press("G")
            await pilot.pause()
            assert drawn == []

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, go()).result()


@pytest.mark.parametrize("name", ["insmod-foo-fail19.dat", "cat-enoent.dat", "failing/retry.dat"])
def test_the_rows_tell_no_more_than_the_trace_does(name: str) -> None:
    """A column that a tree stores says that there is something to tell: an estimate, time asleep, an error."""
    window = Window(call_tree(kfgraph.load(EXAMPLES / name)))
    folded = window._view(0, 20).folded.tree
    always = {"count", "n_unfinished", "min_ns", "max_ns"}
    told = {column for column in TreeTable.COLUMNS if window.tree.has(column)}
    assert {column for column in TreeTable.COLUMNS if folded.has(column)} - always == told - always
    assert "tracer_ns" not in told and "±" not in window.head and "≈" not in window.head


def test_the_rows_of_the_hot_path_and_no_others_stand_out() -> None:
    tree = call("a", 10, call("b", 5, call("c", 100), call("e", 3)), call("d", 1))
    window = Window(call_tree(trace_of([tree])))
    window.rows.open_all(0)
    window.width = 100
    styles = {pieces[-3][0]: pieces[-3][1] for pieces in window.lines(0, len(window.rows))}
    hot = ["task0-100", "a", "b", "c"]
    assert styles == dict.fromkeys(hot, "path") | {"e": "", "d": ""}
