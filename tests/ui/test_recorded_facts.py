"""What the explorer's panel and its rows say of trees of every kind, opened wholly and in part, as it was recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("textual", reason="extra: Textual is not installed")

import kfgraph
import recorded
from builder.drawn import Draw
from builder.machine import RUNNING, SLEEPING, Machine
from contract.test_recorded import CUT, FAILING, REPOSITORY, TEXT
from kfgraph.analyze.callers import callers
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.open_rows import Group
from kfgraph.errors import KfgraphError
from kfgraph.model.trace import Trace
from kfgraph.render.explorer.facts import Facts
from kfgraph.render.explorer.window import Window

TRACES = (
    f"{CUT}/6.12-system.dat", f"{CUT}/6.1-syscalls.dat", f"{CUT}/7.2-syscalls.dat", f"{CUT}/7.2-args.dat",
    f"{CUT}/7.2-retaddr.dat", f"{CUT}/6.12-lost.dat", f"{CUT}/i386-lossy.dat", f"{CUT}/6.12-thresh.dat",
    f"{CUT}/s390x-7.2.dat", f"{CUT}/7.2-retval.dat", *FAILING, "examples/failing/nobody_listens.dat",
    f"{TEXT}/6.1-report-pipe-syscalls.txt.xz", f"{TEXT}/7.2-retval-ftrace-args-retaddr.txt.xz",
    "examples/insmod-foo-fail19.dat", "examples/insmod-fail19.dat",
    f"{TEXT}/7.2-report-widget-fail19.txt.xz", f"{TEXT}/6.1-ftrace-function-tracer.txt.xz",
)  # fmt: skip
TREES: tuple[dict[str, Any], ...] = (
    {"group_interrupts": True}, {"merge": True, "group_interrupts": True}, {"no_irq": True},
    {"root": "*lock*", "group_interrupts": True}, {"root": "*read*", "merge": True},
)  # fmt: skip
COSTLY = {"root": ["foo_*", "*free*"], "compensate": True}
"""Of a trace that tells what it costs to trace a call."""
BESIDE = ((), ("returns",), ("args", "returns"))


def windows(trace: Trace) -> Iterator[tuple[str, Window]]:
    large = len(trace.calls) > 3_000
    for words in (COSTLY, {**COSTLY, "merge": True}) if large else TREES:
        with suppress(KfgraphError):
            yield str(words), Window(call_tree(trace, **words))
    with suppress(KfgraphError):
        yield "callers", Window(callers(trace, ["*lock*", "*free*"]))


def said(window: Window, draw: Draw) -> Iterator[tuple[str, object]]:
    """Of a window whose rows are all open: some of its lines, and the facts of some of its rows."""
    rows, facts = window.rows, Facts(window)
    for row in reversed(range(len(rows))):
        rows.open_all(row, opened=True)
    window.width, window.start = 60 + draw.below(70), bool(draw.below(2))
    window.beside = BESIDE[draw.below(3)] if not window.call_tree.merged else ()
    if draw.below(2):
        # What stands below some row in groups, each as one row.
        parent = rows.node(rows.item(draw.below(len(rows))))
        rows.group(max(int(window.tree.parent[parent]), 0))
    if draw.below(3) == 0:
        rows.sort(by_time=True)
    if draw.below(3) == 0:
        window.mark(rows.rows[rows.rows < rows.n][::40])
    if draw.below(3) == 0:
        window.hide(max(window.function_at(rows.item(len(rows) // 2)), 0))
    first = draw.below(max(len(rows) - 8, 1))
    yield window.head, window.lines(first, min(first + 8, len(rows)))
    items = rows.rows.tolist()
    odd = [one for one in items if isinstance(rows.made(one), Group)][:2]
    odd += [one for one in items if one < rows.n and window.tree.at("asleep_ns", one)][:3]
    for item in [*odd, *(items[draw.below(len(items))] for _ in range(4))] if items else []:
        width = 20 + draw.below(40)
        yield f"{item} {width}", [line.plain for line in facts.lines(item, width)]


@pytest.mark.parametrize("part", [0, 1, 2])
def test_facts(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)

    def everything() -> Iterator[str]:
        for n, name in enumerate(TRACES):
            if n % 3 == part:
                trace, draw = kfgraph.load(name), Draw(name)
                for words, window in windows(replace(trace, meta=replace(trace.meta, again=""))):
                    made = list(said(window, draw)) if len(window.rows) else []
                    sums = " ".join(recorded.summed(json.dumps(one), 6) for one in made)
                    first = json.dumps(made[-1:], ensure_ascii=False)[:80]
                    yield f"{name} {words}: {sums} … {first}"

    recorded.compare(f"facts-{part}", everything())


def test_the_panel_tells_the_first_sleeps_of_a_call_and_who_ended_each(tmp_path: Path) -> None:
    m = Machine(names={11: "cat", 12: "worker"})
    m.switch(0, 11, RUNNING)
    m.switch(1, 12, RUNNING)
    m.enter(0, "f")
    m.now += 7
    m.enter(0, "pipe_read")
    for asleep, waker in ((1_000, "pipe_write"), (70, ""), (300, "complete"), (5_000, "pipe_write")):
        m.now += 20
        m.switch(0, -1, SLEEPING)
        m.now += asleep
        if waker:
            m.enter(1, waker)
            m.wake(1, 11)
            m.leave(1)
        m.now += 5
        m.switch(0, 11, RUNNING)
    m.now += 30
    m.switch(0, 12, RUNNING)
    m.now += 400
    m.switch(0, 11, RUNNING)
    m.now += 3
    m.leave(0)
    m.leave(0)
    (tmp_path / "a.dat").write_bytes(m.dat())
    facts = Facts(Window(call_tree(kfgraph.load(str(tmp_path / "a.dat")))))
    told = {facts.of(node)[0].text: [fact[:2] for fact in facts.of(node)] for node in range(1, 3)}
    assert told["pipe_read"][4:13] == [
        ("start", "0.000000007 s"), ("total", "6.903 us"), ("self", "113 ns"), ("asleep", "6.390 us"),
        ("preempted", "400 ns"), ("", "  slept 1.005 us, woken by worker in pipe_write()"), ("", "  slept 75 ns"),
        ("", "  slept 305 ns, woken by worker in complete()"), ("below", "0 calls"),
    ]  # fmt: skip
    assert told["f"][4:10] == [
        ("start", "0.000000000 s"), ("total", "6.910 us"), ("self", "7 ns"), ("asleep", "6.390 us, in its callees"),
        ("preempted", "400 ns, in its callees"), ("below", "1 call"),
    ]  # fmt: skip
