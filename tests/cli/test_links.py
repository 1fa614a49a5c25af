"""Links on a terminal: where they are, and where they are not."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import kfgraph as kfgraph_api
from builder.tables import call, trace_of
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.sourcelinks import SourceLinks
from kfgraph.kernel import sourcelines
from kfgraph.render import linked, pager
from kfgraph.render.errorlist import ErrorsView
from kfgraph.render.linked import can_link
from kfgraph.render.text import unasked
from kfgraph.render.tree import tree_view
from running import kfgraph

REPOSITORY = Path(__file__).resolve().parents[2]
FOO = "examples/insmod-foo-fail19.dat"
LINK = re.compile(r"\x1b\]8;[^;\x1b\x07]*;([^\x1b\x07]*)\x1b\\(.*?)\x1b\]8;;\x1b\\")
ABLE = {"TERM": "xterm-256color", "VTE_VERSION": "6800", "KFGRAPH_PAGER": "cat", "COLUMNS": "120"}
UNSET = ("NO_COLOR", "TMUX", "TERM_PROGRAM", "FORCE_HYPERLINK", "KFGRAPH_LINK", "WT_SESSION", "KONSOLE_VERSION")


def on_terminal(*words: str, **more: str) -> str:
    """What a terminal gets of ``kfgraph words``."""
    environment = {name: value for name, value in os.environ.items() if name not in UNSET} | ABLE | more
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kfgraph", *words], cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL,
        stdout=theirs, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    got = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:
            break
        if not part:
            break
        got += part
    os.close(ours)
    process.wait()
    return got.decode().replace("\r\n", "\n")


def without(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", LINK.sub(lambda found: found[2], text))


def links_in(text: str) -> dict[str, str]:
    return {re.sub(r"\x1b\[[\d;]*m", "", name): url for url, name in LINK.findall(text)}


def test_names_in_a_tree_lead_to_their_source() -> None:
    words = ("show", FOO, "--root", "foo_probe")
    shown = on_terminal(*words, "--source", "examples/foo")
    plain = on_terminal(*words, "--no-links")
    assert "\x1b]8" not in plain and without(shown) == without(plain)
    found = links_in(shown)
    assert set(found) == {"foo_probe", "foo_probe_slot", "foo_read_id", "__const_udelay", "delay_tsc"}
    assert found["delay_tsc"] == "https://elixir.bootlin.com/linux/v6.1/A/ident/delay_tsc"
    assert re.fullmatch(rf"file://{REPOSITORY}/examples/foo/foo.c#L\d+", found["foo_probe"])
    # Without its source, a module of somebody else has no link.
    assert set(links_in(on_terminal(*words))) == {"__const_udelay", "delay_tsc"}


def test_names_in_a_table_and_its_callers_lead_to_their_source() -> None:
    words = ("top", FOO, "--limit", "3", "--paths", "0", "--callers", "kfree")
    shown = on_terminal(*words)
    assert without(shown) == without(on_terminal(*words, "--no-links"))
    found = links_in(shown)
    assert {"load_module", "schedule (waiting)", "kfree", "rcu_do_batch"} <= set(found)
    assert found["schedule (waiting)"] == "https://elixir.bootlin.com/linux/v6.1/A/ident/schedule"
    assert "insmod-116" not in found
    by_module = on_terminal("top", FOO, "--group", "module")
    assert "\x1b]8" not in by_module.split("Hot paths")[0] and "load_module" in links_in(by_module)


@pytest.mark.parametrize("columns", ["60", "200"])
def test_names_in_hot_paths_lead_to_their_source(columns: str) -> None:
    words = ("top", FOO, "--limit", "1", "--paths", "3")
    shown = on_terminal(*words, "--source", "examples/foo", COLUMNS=columns)
    assert without(shown) == without(on_terminal(*words, "--no-links", COLUMNS=columns))
    paths = shown[shown.index("Hot paths") :]
    found = links_in(paths)
    assert found["load_module"] == "https://elixir.bootlin.com/linux/v6.1/A/ident/load_module"
    assert not [name for name in found if "→" in name or name.strip() != name or "more" in name or "insmod" in name]
    assert all(url.rsplit("/", 1)[-1] == name.split(".")[0] for name, url in found.items() if "…" not in name)
    last = [line.rsplit("→ ", 1)[-1] for line in without(paths).splitlines() if "→" in line]
    assert last and last[-1] in found, "the last function of the last path"
    names = {word for line in without(paths).splitlines() if "→" in line for word in re.split(" → |→ ", line.strip())}
    assert {name for name in names if name and "…" not in name} == {name for name in found if "…" not in name}


def test_names_in_a_flame_graph_lead_to_their_source() -> None:
    words = ("flame", FOO, "--icicle")
    shown = on_terminal(*words)
    assert without(shown) == without(on_terminal(*words, "--no-links")) and "\x1b]8" in shown
    found = {name.strip(" │").split(" ")[0]: url for name, url in links_in(shown).items()}
    assert found["load_module"] == "https://elixir.bootlin.com/linux/v6.1/A/ident/load_module"
    assert "do_init_module" in found and not [name for name in found if name.startswith("insmod")]


def test_names_on_the_path_of_an_error_lead_to_their_source() -> None:
    elixir = "https://elixir.bootlin.com/linux/v6.1/A/ident"
    for words, more in ((("why", FOO), set()), (("errors", FOO, "--unsure"), {"foo_read_id [foo]"})):
        shown = on_terminal(*words, "--source", "examples/foo")
        plain = on_terminal(*words, "--no-links", *(("--source", "examples/foo") if words[0] == "why" else ()))
        assert "\x1b]8" not in plain and without(shown) == without(plain)
        found = links_in(shown)
        assert re.fullmatch(rf"file://{REPOSITORY}/examples/foo/foo.c#L\d+", found["foo_read_id [foo]"])
        assert more <= set(found) and not [name for name in found if name.startswith(" ")]
        without_source = links_in(on_terminal(*words))
        assert "foo_read_id [foo]" not in without_source
    found = links_in(on_terminal("why", FOO))
    assert found == {name: f"{elixir}/{name}" for name in ("load_module", "do_init_module", "do_one_initcall")}
    assert "\x1b]8" not in on_terminal("why", FOO, "--text")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "dumb"}, None), ({"TERM": "linux"}, None), ({"VTE_VERSION": ""}, None),
        ({"VTE_VERSION": "4600"}, None), ({"TMUX": "/tmp/x"}, None), ({"FORCE_HYPERLINK": "0"}, None),
        ({"KFGRAPH_LINK": ""}, None),
        ({"NO_COLOR": "1"}, "https://elixir.bootlin.com/linux/v6.1/A/ident/delay_tsc"),
        ({"TMUX": "/tmp/x", "FORCE_HYPERLINK": "1"}, "https://elixir.bootlin.com/linux/v6.1/A/ident/delay_tsc"),
        ({"KFGRAPH_LINK": "http://x/{version}/{function}"}, "http://x/6.1/delay_tsc"),
    ],
)  # fmt: skip
def test_a_terminal_gets_links_if_it_opens_them(environment, expected) -> None:
    shown = on_terminal("show", FOO, "--root", "__const_udelay", "--nth", "1", **environment)
    assert "delay_tsc" in shown
    assert links_in(shown).get("delay_tsc") == expected and ("\x1b]8" in shown) == (expected is not None)


@pytest.mark.parametrize(
    ("environment", "able"),
    [
        ({"TERM_PROGRAM": "iTerm.app"}, True), ({"TERM_PROGRAM": "Apple_Terminal"}, False), ({"WT_SESSION": "x"}, True),
        ({"TERM": "xterm-kitty"}, True), ({"TERM": "foot-extra"}, True), ({"TERM": "xterm"}, False),
        ({"TERM": "screen", "VTE_VERSION": "7000"}, False), ({"KONSOLE_VERSION": "220400"}, True),
        ({"TERM": "", "VTE_VERSION": "7000"}, False),
    ],
)  # fmt: skip
def test_which_terminals_do(environment, able, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linked.os, "isatty", lambda fd: True)
    assert can_link({"TERM": "xterm-256color", **environment}) is able
    monkeypatch.setattr(linked.os, "isatty", lambda fd: False)
    assert not can_link({"TERM": "xterm-256color", "FORCE_HYPERLINK": "1", **environment})


@pytest.mark.parametrize("words", [["show", FOO, "--root", "foo_probe"], ["top", FOO, "--callers", "kfree"]])
def test_a_pipe_gets_none(words, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    for name, value in {**ABLE, "FORCE_HYPERLINK": "1"}.items():
        monkeypatch.setenv(name, value)
    code, out, err = kfgraph(*words, "--source", "examples/foo")
    assert code == 0 and "\x1b" not in out and "://" not in out
    assert "kfgraph: --source: no links, stdout is not a terminal" in err
    assert "--source" not in kfgraph(*words)[2]
    err = kfgraph(*words, "--source", "examples/foo", "--no-links")[2]
    assert "--source does nothing beside --no-links" in err or "--source does nothing with --no-links" in err


def test_what_is_no_template_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "x.html"
    code, _, err = kfgraph("html", REPOSITORY / FOO, "-o", page, "--link", "javascript:{function}")
    assert code == 2 and "--link javascript:{function}: not the address of a page" in err
    code, _, err = kfgraph("html", REPOSITORY / FOO, "-o", page, "--source", tmp_path / "nowhere")
    assert code == 5 and "not a directory of sources" in err


@pytest.mark.parametrize(
    ("says", "passes"), [("less 590 (GNU regex)", True), ("less 566", True), ("less 530 (POSIX)", False), ("x", False)]
)
def test_an_old_pager_gets_none(says, passes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    less = tmp_path / "less"
    less.write_text(f"#!/bin/sh\necho '{says}'\n")
    less.chmod(0o755)
    monkeypatch.setenv("KFGRAPH_PAGER", str(less))
    assert pager.passes_links() is passes
    monkeypatch.setenv("KFGRAPH_PAGER", "most")
    assert not pager.passes_links()
    monkeypatch.setenv("KFGRAPH_PAGER", "cat")
    assert pager.passes_links()


@pytest.mark.parametrize(("name", "links"), [("less", True), ("pages", False)])
def test_what_is_paged_has_links_if_the_pager_passes_them_on(name, links, tmp_path: Path) -> None:
    script = tmp_path / name
    script.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo 'less 590' || cat\n")
    script.chmod(0o755)
    for rows in ("--max-rows", "40"), ("--max-rows", "4"):
        shown = on_terminal("show", FOO, "--root", "load_module", *rows, KFGRAPH_PAGER=str(script), LINES="20")
        # What fits the screen is not paged.
        assert bool(links_in(shown)) == (links or rows[1] == "4") and "do_init_module" in shown


def test_a_list_of_errors_looks_for_its_sources_once(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = kfgraph_api.load(REPOSITORY / "examples" / "cat-enoent.dat")
    searched = []
    real = sourcelines.source_lines
    monkeypatch.setattr(sourcelines, "source_lines", lambda *args: searched.append(1) or real(*args))
    links = SourceLinks(trace, trees=[REPOSITORY / "examples" / "foo"])
    rows = trace.errors(unsure=True).rows
    assert len(list(ErrorsView(trace, rows, None, links).lines(100))) > len(rows) > 5 and searched == [1]


def test_a_hostile_name_is_no_address() -> None:
    from dataclasses import replace
    from io import StringIO

    from rich.console import Console

    names = ["f\x1b\\\x1b]8;;http://evil\x1b\\", "a;b", "x\x07", "ok"]
    trace = trace_of([call(name, 5) for name in names])
    trace = replace(trace, meta=replace(trace.meta, kernel="6.1"))
    tree = call_tree(trace, root="*")
    view = tree_view(tree, unasked(tree, max_rows=None), links=SourceLinks(trace))
    text = "".join(view.styled(Console(file=StringIO(), force_terminal=True)))
    assert re.findall(r"\x1b\](.*?)\x1b\\", text) == ["8;;https://elixir.bootlin.com/linux/v6.1/A/ident/ok", "8;;"]
    assert "\x07" not in text and "f\\x1b\\\\x1b]8;;http://evil" in text
