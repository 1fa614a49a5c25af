"""The page as text: what stands in it without a browser, what it allows itself, and what a hostile name becomes."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html.parser
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builder.tables import bushy, call, trace_of
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.sourcelinks import SourceLinks
from kfgraph.analyze.top import top
from kfgraph.analyze.why import why
from kfgraph.cli.app import main
from kfgraph.model.companion import Companion, ModuleImage
from kfgraph.model.marks import Losses
from kfgraph.model.tasks import Task
from kfgraph.model.trace import TraceMeta
from kfgraph.render.flame.svg import MODULES as SVG_MODULES
from kfgraph.render.html.markup import MODULES, script
from kfgraph.render.html.page import Report, page, page_within

HOSTILE = (
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "--><img/src=x/onerror=alert(1)>",
    '"onmouseover="alert(1)', "'); alert(1); ('", "${alert(1)}", "&lt;b&gt;", "</title><b>", "javascript:alert(1)",
    "\u202egpj.exe", "a\u200bb", "\x1b[41m", "__proto__", "constructor", "]]>", "`;alert(1)//",
)  # fmt: skip


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    monkeypatch.chdir(repository)


def on_stdout(*args: str) -> tuple[int, str, str]:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["html", *args])
    return code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()


class Shape(html.parser.HTMLParser):
    """The elements of a page with their attributes, and the text outside of script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[str] = []
        self.text = ""
        self.code: dict[str, str] = {}
        self._in = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(sorted(name for name, _ in attrs))))
        self.values += [value or "" for _, value in attrs]
        self._in = tag if tag in ("style", "script") and not any(name == "id" for name, _ in attrs) else "text"

    def handle_endtag(self, tag: str) -> None:
        self._in = "text"

    def handle_data(self, data: str) -> None:
        if self._in in ("style", "script"):
            self.code[self._in] = self.code.get(self._in, "") + data
        else:
            self.text += data


def head_of(page: str) -> dict[str, Any]:
    (data,) = re.findall(r'id="data">([^<]*)<', page)
    raw = zlib.decompress(base64.b64decode(data), wbits=31)
    (length,) = struct.unpack("<I", raw[:4])
    return json.loads(raw[4 : 4 + length])


def test_the_answer_stands_in_the_page_without_a_script() -> None:
    code, page, _ = on_stdout("examples/insmod-foo-fail19.dat")
    assert code == 0 and page.startswith("<!doctype html>")
    text = Shape(page).text
    for said in (
        "insmod foo.ko fail=19", "✗ ended with status 1", "5,811 calls",
        "load_module = -ENODEV, first returned by foo_read_id [foo], its 3rd call (before it: 66, 67)",
        "-ENODEV: No such device", "2 calls of it before returned 66, 67", "18 return probes; setting them took",
    ):  # fmt: skip
        assert said in text, said


def test_nothing_is_loaded_and_only_the_pages_own_script_runs() -> None:
    page = on_stdout("examples/insmod-foo-fail19.dat")[1]
    shape = Shape(page)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'none'" and parts["base-uri"] == "'none'" and parts["form-action"] == "'none'"
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(shape.code[kind].encode()).digest()).decode()
        assert parts[f"{kind}-src"] == f"'sha256-{digest}'"
    assert page.index("Content-Security-Policy") < page.index("<style>") < page.index("<script")
    assert not {"src", "href", "style", "srcset", "action"} & {name for _, names in shape.elements for name in names}
    assert not re.search(r"https?://|@import|url\(|\bfetch\(|XMLHttpRequest|innerHTML|document\.write|\beval\(", page)


def links_of(*args: str) -> dict[str, str]:
    """Function -> the address of its source, in the page that ``kfgraph html`` makes."""
    code, made, err = on_stdout(*args)
    assert code == 0, err
    head = head_of(made)
    if not head["links"]:
        return {}
    begin, rest = head["links"]
    assert len(rest) == len(head["names"])
    named = zip(head["names"], rest, strict=True)
    return {name: begin + (name if more == 1 else more) for name, more in named if more != 0}


def test_functions_lead_to_their_source(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foo, elixir = "examples/insmod-foo-fail19.dat", "https://elixir.bootlin.com/linux/v6.1/A/ident"
    found = links_of(foo)
    assert found["load_module"] == f"{elixir}/load_module" and found["kernfs_put.part.0"] == f"{elixir}/kernfs_put"
    assert not [name for name in found if name.endswith("[foo]") or name.startswith("insmod")] and len(found) > 400
    tree = links_of(foo, "--source", "examples/foo")
    assert tree["foo_probe [foo]"].startswith(f"file://{repository}/examples/foo/foo.c#L")
    # A page for others says nothing of the files here.
    assert links_of(foo, "--source", "examples/foo", "--redact") == found
    assert links_of(foo, "--no-links") == {}
    assert links_of(foo, "--link", "http://x/{function}")["load_module"] == "http://x/load_module"
    # The text does not tell the kernel's version.
    assert links_of("examples/insmod-dummy.report.txt.xz") == {}
    monkeypatch.setenv("KFGRAPH_LINK", "")
    assert links_of(foo) == {}


def test_the_panel_links_to_the_source_and_asks_for_nothing(tmp_path: Path, show: Callable[..., Any]) -> None:
    path = tmp_path / "page.html"
    assert on_stdout("examples/insmod-foo-fail19.dat", "--source", "examples/foo", "-o", str(path))[0] == 0
    seen = show(path)

    def link_at(name: str) -> tuple[str, str] | None:
        seen.page.evaluate(
            "name => { const { tree, head } = page, at = head.names.indexOf(name);"
            " page.grid.goTo(tree.label.indexOf(at)); }", name
        )  # fmt: skip
        link = seen.page.query_selector("dd a")
        if link is None:
            return None
        assert (link.get_attribute("target"), link.get_attribute("rel")) == ("_blank", "noopener noreferrer")
        return link.get_attribute("href"), link.inner_text()

    assert link_at("load_module") == ("https://elixir.bootlin.com/linux/v6.1/A/ident/load_module", "elixir.bootlin.com")
    href, text = link_at("foo_probe [foo]") or ("", "")
    assert href.startswith("file:///") and re.search(r"/examples/foo/foo\.c:\d+$", text)
    assert link_at("insmod-116") is None
    assert on_stdout("examples/insmod-foo-fail19.dat", "-o", str(path))[0] == 0
    seen.page.reload()
    seen.page.wait_for_selector("body[data-ready]", timeout=20_000)
    assert link_at("foo_probe [foo]") is None and link_at("load_module") is not None
    assert seen.problems == [] and [url for url in seen.requests if not url.endswith("page.html")] == []


def test_frames_rows_and_functions_lead_to_their_source(tmp_path: Path, show: Callable[..., Any]) -> None:
    path = tmp_path / "page.html"
    template = "https://cross.reference/{version}/{function}"
    assert on_stdout("examples/insmod-foo-fail19.dat", "--link", template, "-o", str(path))[0] == 0
    seen = show(path)
    seen.page.context.route("**://cross.reference/**", lambda route: route.fulfill(body=""))

    def opened_by(click: Callable[[], None]) -> str:
        with seen.page.context.expect_page() as opened:
            click()
        assert opened.value.evaluate("opener") is None
        return str(opened.value.url)

    def at(selector: str) -> Callable[[], None]:
        return lambda: seen.page.click(selector, modifiers=["Control"])

    current = seen.current
    assert opened_by(at(".row:has-text('do_init_module') .name")) == "https://cross.reference/6.1/do_init_module"
    assert seen.current == current, "the row that was current stays"
    seen.page.click("#tab-functions")
    seen.page.fill("#panel-functions input", "load_module")
    assert opened_by(at(".functions .row[data-row='0'] .name button")) == "https://cross.reference/6.1/load_module"
    assert seen.page.is_visible("#panel-functions")
    seen.page.click("#tab-flame")
    box = seen.page.locator("canvas.flame").bounding_box()
    where = {"x": 600, "y": 18 + 9}
    frame = lambda: seen.page.click("canvas.flame", modifiers=["Control"], position=where)  # noqa: E731
    assert opened_by(frame) == "https://cross.reference/6.1/load_module"
    assert seen.page.evaluate("page.views.get('flame').root") == -1, "it does not zoom"
    seen.page.click("canvas.flame", position=where)
    assert seen.page.evaluate("(f => f.nameOf(f.root))(page.views.get('flame'))") == "load_module"
    seen.page.mouse.move(box["x"], box["y"] - 30)
    link = seen.page.query_selector("#panel-flame .said a")
    assert link is not None and link.get_attribute("href") == "https://cross.reference/6.1/load_module"
    assert opened_by(link.click) == link.get_attribute("href"), "the link stays where the pointer leaves the frame"
    seen.page.click("canvas.flame", position={"x": 600, "y": 9})
    assert seen.page.query_selector("#panel-flame .said a") is None, "a task has no source"
    assert seen.problems == []


def test_hostile_links_stay_links(show: Callable[..., Any], tmp_path: Path) -> None:
    class Links(SourceLinks):
        def of(self, label: str) -> str:
            return f"https://x/'\"><img src=x onerror=alert(1)>{label}"

    trace = trace_of([call("f", 1_000)], tasks=[Task(1, "t")])
    path = tmp_path / "page.html"
    path.write_text(page(Report(call_tree(trace), top(trace), why(trace), Links(trace))))
    seen = show(path)
    seen.page.evaluate("page.grid.openAll(), page.grid.goTo(1)")
    assert seen.page.query_selector("dd a") is not None
    assert seen.page.evaluate("document.querySelectorAll('img').length") == 0 and seen.problems == []


def test_the_program_is_small_and_all_of_it_is_there(repository: Path) -> None:
    files = {path.stem for path in (repository / "src/kfgraph/render/html/app").glob("*.mjs")}
    assert {*MODULES, *SVG_MODULES} == files
    assert len(on_stdout("tests/fixtures/cases/tabs.txt")[1]) < 300 << 10
    for name in MODULES:
        assert f"const module_{name} = (() => {{" in script()
    assert not re.search(r"^(import|export) ", script(), re.MULTILINE)


def page_with(names: Sequence[str]) -> str:
    """A page in which all that a trace names is called so: functions, modules, tasks, the host, the command."""
    roots = [call(name, 1_000, call("kfree", 5), call(f"f{i} [{names[i]}]")) for i, name in enumerate(names)]
    trace = trace_of(*[[root] for root in roots], tasks=[Task(100 + i, name) for i, name in enumerate(names)])
    companion = Companion(
        argv=("insmod", *names), trace_cmd=names, kernel=names[0], exit_status=1, partial=names[1], notes=names,
        modules=tuple(ModuleImage(name, name, name, name, ()) for name in names),
    )  # fmt: skip
    meta = TraceMeta(path=names[0], kernel=names[1], host=names[2], arch=names[3], recorder=names[4], clock=names[5])
    told = replace(trace, companion=companion, meta=meta)
    return page(Report(call_tree(told), top(told), why(told)))


def test_a_hostile_name_becomes_neither_markup_nor_script() -> None:
    evil, plain = page_with(HOSTILE), page_with([f"n{i}" for i in range(len(HOSTILE))])
    assert Shape(evil).elements == Shape(plain).elements and len(Shape(evil).elements) > 60
    assert Shape(evil).code == Shape(plain).code
    for name in HOSTILE[:9]:
        assert name in Shape(evil).text
    names = head_of(evil)["names"]
    assert "</script><script>alert(1)</script>" in names and "\\u202egpj.exe" in names
    assert not re.search("[\u202e\u200b\x1b]", evil)


def test_hostile_names_are_shown_as_they_are(tmp_path: Path, show: Callable[..., Any]) -> None:
    path = tmp_path / "page.html"
    path.write_text(page_with(HOSTILE))
    seen = show(path, height=3_000)
    seen.page.evaluate("page.grid.sortBy('time'), page.grid.openAll()")
    shown = {row.strip() for row in seen.rows()}
    for i, name in enumerate(HOSTILE[:9]):
        assert {name, f"{name}-{100 + i}", f"f{i} [{name}]"} <= shown
    assert {"__proto__", "\\u202egpj.exe", "a\\u200bb", "\\x1b[41m"} <= shown
    assert seen.page.evaluate("document.querySelectorAll('img, b, main script').length") == 0
    for row in range(len(shown)):
        seen.page.evaluate(f"page.grid.select({row})")
    seen.page.click("#tab-functions")
    assert "</title><b>" in seen.rows(".functions")
    assert seen.problems == []


def test_a_terminal_gets_no_page() -> None:
    primary, secondary = pty.openpty()
    argv = [sys.executable, "-m", "kfgraph", "html", "examples/cat-enoent.dat"]
    done = subprocess.run(argv, stdout=secondary, stderr=subprocess.PIPE, text=True)
    os.close(secondary)
    os.close(primary)
    assert done.returncode == 2
    assert done.stderr.endswith("the output is an HTML page, which a terminal cannot show\n  hint: -o out.html\n")


def test_the_same_trace_gives_the_same_page() -> None:
    assert on_stdout("examples/cat-enoent.dat")[1] == on_stdout("examples/cat-enoent.dat")[1]


def test_filters_choose_what_is_in_it() -> None:
    head = head_of(on_stdout("examples/insmod-foo-fail19.dat", "--root", "foo_probe_slot")[1])
    assert head["tasks"] == [] and {"foo_probe_slot [foo]", "foo_read_id [foo]"} <= set(head["names"])
    assert "load_module" not in head["names"] and head["born"] >= 0
    whole = head_of(on_stdout("examples/insmod-foo-fail19.dat")[1])
    assert whole["n"] == 5_811 + 1 + 6, "the calls, their task, and a node for each interrupt"
    assert 3 < head["n"] < 200 and head["n"] == sum(head["functions"]["n_calls"])


def test_a_page_of_a_part_says_so_and_of_which() -> None:
    example = "examples/insmod-foo-fail19.dat"
    _, page, _ = on_stdout(example, "--root", "kfree", "--root", "foo_read*", "--no-irq")
    assert "Only a part of the trace: --root kfree --root 'foo_read*' --no-irq" in Shape(page).text
    disabled = re.findall(r'<button type="button" disabled title="this call is not in the page">(\w+)', page)
    assert disabled == ["load_module", "do_init_module", "do_one_initcall", "foo_init", "foo_probe", "foo_probe_slot"]
    assert re.search(r'<button type="button" class="born" data-node="\d+">foo_read_id', page)
    for words in ((), ("--all-tasks", "--pre-exec")):
        assert "Only a part" not in on_stdout(example, *words)[1]
    safe = Shape(on_stdout(example, "--task", "insmod", "--redact")[1]).text
    assert "Only a part of the trace: --task\n" in safe and "insmod" not in safe.split("Call tree")[0]


def test_waiting_functions_are_known_to_the_page_and_no_share_is_of_them() -> None:
    head = head_of(on_stdout("examples/insmod-foo-fail19.dat")[1])
    functions = head["functions"]
    assert [name for name, waits in zip(functions["name"], functions["waits"], strict=True) if waits] == ["schedule"]
    work = [ns for ns, waits in zip(functions["self_ns"], functions["waits"], strict=True) if ns > 0 and not waits]
    assert sum(work) == head["self_ns"]
    assert [head["names"][i] for i in head["asleep"]] == ["schedule"], "schedule_timeout calls it"


def test_a_page_of_a_size_has_sums_and_says_so() -> None:
    example = "examples/insmod-foo-fail19.dat"
    _, whole, err = on_stdout(example)
    assert "sums" not in err and 'class="smaller"' not in whole and "rests" not in head_of(whole)
    size = len(whole.encode()) - 1_000
    code, page, err = on_stdout(example, "--max-size", str(size))
    assert code == 0 and len(page.encode()) <= size
    head, text = head_of(page), Shape(page).text
    said = re.search(r"of each result have rows of their own\. ([\d,]+) calls are in sums", text)
    assert said is not None and f"{said[1]} calls are in sums, to fit" in err
    assert "Of more than 10 calls of one function in one call, the slowest 10 " in text
    assert f"kfgraph html {example} --max-size SIZE has more" in text
    assert f"kfgraph show {example} --root FUNCTION --all" in text and "left out" not in text
    assert head["functions"] == head_of(whole)["functions"], "these count every call"
    assert "rests" not in head
    assert f"Not all of it is in this page: {said[1]} calls in sums" in text
    assert head["born"] >= 0 and head["open"] == head["born"]


def test_the_fastest_calls_are_left_out_of_a_small_page() -> None:
    example = "examples/insmod-foo-fail19.dat"
    floor = len(on_stdout(example, "--max-size", "1")[1].encode())
    size = floor + 2_000
    code, page, err = on_stdout(example, "--max-size", str(size))
    assert code == 0 and floor < len(page.encode()) <= size and "larger than" not in err
    said = re.search(r"([\d,]+) calls in callees of at most [\d.]+ .?s are left out", Shape(page).text)
    assert said is not None and f"{said[1]} calls that took least left out (--max-size SIZE)" in err
    head = head_of(page)
    assert [head["names"][i] for i in head["rests"]] == ["calls left out"]
    assert head["born"] >= 0, "what failed stays"
    assert {"foo_read_id [foo]", "foo_probe [foo]", "load_module"} <= set(head["names"])


@pytest.fixture(scope="module")
def failing() -> Report:
    """349,525 calls, of 500 functions in no order, that all failed."""
    trace = bushy(10, errors=(-19, -2, -22))
    return Report(call_tree(trace), top(trace, n_paths=0), why(trace))


@pytest.mark.parametrize("size", [600_000, 180_000])
def test_no_number_of_failed_calls_makes_a_page_larger(size: int, failing: Report) -> None:
    made = page_within(failing, size)
    assert size / 3 < len(made.text.encode()) <= size
    limited = made.limited
    fails = failing.call_tree.tree.error_sure
    n_left_out = limited.n_failed_left_out
    assert int(fails[limited.kept].sum()) + n_left_out == int(fails.sum()) == 349_525
    assert 10_000 < n_left_out == sum(one.n for one in limited.failed_left_out)
    head, text = head_of(made.text), " ".join(Shape(made.text).text.split())
    most = limited.failed_left_out[0]
    name = {-19: "ENODEV", -2: "ENOENT", -22: "EINVAL"}[most.error]
    assert f"Left out are {n_left_out:,} calls that failed: {most.function} -{name} × {most.n:,}, " in text
    assert re.search(rf"page: .*[\d,]+ calls left out, {n_left_out:,} calls of these failed", text)
    assert "and 1,495 other functions or errors." in text and "kfgraph errors bushy.dat --limit 0 has all that" in text
    assert head["born"] >= 0 and [column[0] for column in head["columns"]].count("failed") == 1
    assert len(head["functions"]["name"]) == 500 and sum(head["functions"]["n_calls"]) == 349_525


def test_the_command_says_how_many_failed_calls_are_left_out(
    failing: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, show: Callable[..., Any]
) -> None:
    monkeypatch.setattr("kfgraph.cli.options.open_trace", lambda *_: failing.call_tree.trace)
    path = tmp_path / "page.html"
    code, _, err = on_stdout("bushy.dat", "-o", str(path), "--max-size", "200K")
    assert code == 0 and path.stat().st_size <= 200 << 10
    said = re.search(r"([\d,]+) of them failed \(kfgraph errors bushy\.dat --limit 0 has all that failed\)", err)
    assert said is not None and "larger" not in err
    seen = show(path)
    (button,) = seen.page.query_selector_all("button:has-text('Next error')")
    n_rows, n = re.findall(r"[\d,]+", button.inner_text())
    assert n == "349,525" and int(n_rows.replace(",", "")) + int(said[1].replace(",", "")) == 349_525
    assert "← born here" in seen.current
    rest = seen.page.evaluate("[...page.tree.failed.keys()][0]")
    seen.page.evaluate(f"page.grid.goTo({rest})")
    failed = seen.page.evaluate(f"page.tree.failed.get({rest})")
    assert re.fullmatch(rf"calls left out × [\d,]+ ✗ {failed:,} with errors", seen.current)
    facts = seen.page.evaluate("document.querySelector('aside.details dl').innerText")
    assert facts.count(f"Returned errors\n{failed:,}") == 1


def test_of_very_many_functions_and_tasks_a_small_page_lists_some() -> None:
    lanes = [[call("f", i + 2, call("g", 3), call(f"some_function_number_{i}", i + 1))] for i in range(4_000)]
    trace = trace_of(*lanes)
    report = Report(call_tree(trace), top(trace, n_paths=0), why(trace))
    whole = page_within(report, None)
    assert whole.listed == {} and len(whole.text) > 400_000
    made = page_within(report, 180_000)
    assert 140_000 < len(made.text.encode()) <= 180_000 and len(made.limited.tree) > 3_000
    ((n, of),) = made.listed.values()
    assert n in (1_000, 300) and of == 4_002
    head, text = head_of(made.text), Shape(made.text).text
    assert len(head["functions"]["name"]) == n
    assert f"Listed are the first {n:,} of 4,002 functions." in text and f"{n:,} of 4,002 functions listed" in text
    assert "kfgraph info built --verbose" in text
    assert head["functions"]["name"][0] in ("f", "some_function_number_3999")


def test_of_very_many_losses_a_small_page_has_the_first() -> None:
    trace = trace_of([call("read", 100, *[call("copy", i % 97) for i in range(20_000)])])
    row = np.arange(1, 20_001, dtype=np.int32)
    zero = np.zeros(len(row), np.int32)
    lost = Losses(trace.calls.start_ns[row], zero.astype(np.int16), np.full(len(row), 3), zero, row, zero)
    told = replace(trace, losses=lost)
    report = Report(call_tree(told), top(told, n_paths=0), why(told))
    assert len(page(report)) > 250_000
    size = len(page_within(report, 1).text.encode()) + 3_000
    made = page_within(report, size)
    assert len(made.text.encode()) <= size
    ((what, (n, of)),) = made.listed.items()
    assert (what, of) == ("places where records were lost", 20_000) and n < of
    assert len(head_of(made.text)["losses"]) == n
    assert f"Listed are the first {n:,} of 20,000 places where records were lost." in Shape(made.text).text


def test_a_page_that_cannot_be_that_small_is_written_and_said_to_be_larger() -> None:
    code, page, err = on_stdout("examples/cat-enoent.dat", "--max-size", "1K")
    assert code == 0 and len(page) > 1024 and "the page is larger than 1.0 KiB" in err


@pytest.mark.parametrize("size", ["", "8 MM", "-1", "1e6", "99999999G"])
def test_what_is_no_size_is_refused(size: str) -> None:
    code, page, err = on_stdout("examples/cat-enoent.dat", f"--max-size={size}")
    assert code == 2 and page == "" and f"--max-size {size!r} is " in err and "--max-size 8M" in err
