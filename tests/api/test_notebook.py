"""What a notebook shows, and the lists of errors and system calls as data frames."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings

import kfgraph
from builder.tables import call, trace_of, traces
from running import kfgraph as run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOO, CAT = EXAMPLES / "insmod-foo-fail19.dat", EXAMPLES / "cat-enoent.dat"


class Rows(HTMLParser):
    """The lines of the page, each with how many <details> it stands in (those that open with it not counted)."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.lines: list[tuple[int, str]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        assert tag in ("div", "details", "summary") and {name for name, _ in attrs} <= {"style", "open"}
        self.open.append(tag)
        if tag == "summary" or (tag == "div" and len(self.open) > 1):
            self.lines.append((self.open.count("details") - (tag == "summary"), ""))

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        level, text = self.lines[-1]
        self.lines[-1] = (level, text + data)


@given(traces())
@settings(max_examples=40, deadline=None)
def test_a_tree_has_the_rows_of_its_text_each_below_its_caller(trace) -> None:
    tree = kfgraph.call_tree(trace)
    rows = Rows(tree._repr_html_()).lines
    assert [text.rstrip() for _, text in rows] == [line.rstrip() for line in str(tree).splitlines()]


def test_rows_close_with_their_caller() -> None:
    tree = kfgraph.call_tree(trace_of([call("a", 5, call("b", 3, call("c", 1)), call("d", 1))]), root="a")
    levels = {re.split(r"[ ▸]", text)[-1]: level for level, text in Rows(kfgraph.to_html(tree)).lines if "%" in text}
    assert levels == {"a": 0, "b": 1, "c": 2, "d": 1}


def test_names_are_no_markup() -> None:
    page = kfgraph.to_html(kfgraph.call_tree(trace_of([call("<script>alert(1)</script>&\x1b", 5)])))
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in page and "\x1b" not in page
    assert "<script>" in html.unescape(page)


@pytest.mark.parametrize("words", [[], ["--ret", "ENODEV"], ["--unsure"]])
def test_errors_as_the_command_has_them(words) -> None:
    given = {"ret": 19} if "--ret" in words else {"unsure": True} if words else {}
    frame = kfgraph.errors_to_pandas(kfgraph.load(FOO), **given)
    told = [json.loads(line) for line in run("errors", FOO, "--json", *words)[1].splitlines()]
    assert len(told) == len(frame) and list(frame.columns) == list(told[0])
    for name in ("function", "value", "n_calls", "row", "start_ns", "path", "top", "sure"):
        assert frame[name].tolist() == [row[name] for row in told], name
    assert "foo_read_id [foo]" in frame["function"].tolist()


@pytest.mark.parametrize("given", [{}, {"failed": True}, {"names": "openat"}, {"slowest": 3}])
def test_system_calls_as_the_command_has_them(given) -> None:
    options = {"failed": ["--failed"], "names": ["-e", "openat"], "slowest": ["--slowest", "3"]}
    words = [word for name in given for word in options[name]]
    frame = kfgraph.syscalls_to_pandas(kfgraph.load(CAT), **given)
    told = [json.loads(line) for line in run("syscalls", CAT, "--json", *words)[1].splitlines()]
    assert len(told) == len(frame) > 0 and list(frame.columns) == list(told[0])
    for name in ("system_call", "pid", "duration_ns", "total_ns", "result", "row"):
        assert [None if pd.isna(value) else value for value in frame[name]] == [row[name] for row in told], name


def test_nothing_found_is_an_empty_frame() -> None:
    assert len(kfgraph.syscalls_to_pandas(kfgraph.load(CAT), names="no_such")) == 0


def test_why_is_a_door() -> None:
    found = kfgraph.why(kfgraph.load(FOO))
    assert found.to_dict()["birth"]["function"] == "foo_read_id" and found.outcome == "cause"
