"""The page in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kfgraph
from builder.tables import call, trace_of
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.top import top
from kfgraph.analyze.waiting_functions import waiting_functions
from kfgraph.analyze.why import why
from kfgraph.model.marks import Losses
from kfgraph.model.tasks import Task
from kfgraph.model.units import format_ns
from kfgraph.render.html.page import Report, page
from running import kfgraph as run

FOO = ("examples/insmod-foo-fail19.dat",)
CAT = ("examples/cat-enoent.dat",)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    monkeypatch.chdir(repository)


@pytest.fixture
def foo(pages: Callable[..., Path], show: Callable[..., Any]) -> Any:
    return show(pages(*FOO))


def press(seen: Any, *keys: str) -> None:
    seen.page.focus("#tree")
    for key in keys:
        seen.page.keyboard.press(key)


def test_it_opens_on_the_failing_path_and_asks_for_nothing(foo: Any) -> None:
    assert foo.current == "foo_read_id [foo] ✗ -ENODEV ← born here"
    open_rows = foo.page.evaluate(
        "[...document.querySelectorAll('.treegrid .row[aria-expanded=true] .name')].map(e => e.innerText)"
    )
    assert open_rows[-2:] == ["foo_probe", "foo_probe_slot"]
    assert "load_module = -ENODEV, first returned by foo_read_id [foo]" in foo.page.inner_text(".answer h2")
    assert foo.problems == []
    assert [url for url in foo.requests if not url.startswith("file:")] == [] and len(foo.requests) == 1


def test_where_nothing_failed_the_slowest_is_open(pages: Callable[..., Path], show: Callable[..., Any]) -> None:
    seen = show(pages("examples/insmod-dummy.report.txt.xz"))
    assert seen.page.get_attribute(".treegrid [data-order=total]", "aria-sort") == "descending"
    assert seen.page.inner_text(".answer h2").startswith("No failure was recorded")
    levels = seen.page.evaluate("[...document.querySelectorAll('.treegrid .row.current')].map(r => +r.ariaLevel)")
    assert levels[0] >= 3


def test_keys_open_close_and_walk(foo: Any) -> None:
    press(foo, "Home")
    assert foo.current.startswith("insmod-116")
    n = foo.page.evaluate("page.grid.rows.length")
    press(foo, "ArrowLeft")
    assert foo.page.evaluate("page.grid.rows.length") == 1
    assert foo.page.get_attribute(".row.current", "aria-expanded") == "false"
    press(foo, "ArrowRight")
    assert foo.page.get_attribute(".row.current", "aria-expanded") == "true"
    press(foo, "ArrowRight")
    assert foo.current.startswith("load_module") and foo.page.get_attribute(".row.current", "aria-level") == "2"
    assert foo.page.evaluate("page.grid.rows.length") == 2 < n
    press(foo, "Enter", "ArrowDown")
    assert foo.page.get_attribute(".row.current", "aria-level") == "3"
    press(foo, "ArrowLeft", "ArrowLeft")
    assert foo.current.startswith("load_module")
    press(foo, "End")
    last = foo.page.evaluate("[page.grid.current, page.grid.rows.length]")
    assert last[0] == last[1] - 1
    assert foo.page.get_attribute("#tree", "aria-activedescendant") == f"row-{last[0]}"
    assert foo.page.is_visible(f"#row-{last[0]}")


def test_a_click_on_the_arrow_opens(foo: Any) -> None:
    foo.page.click("text=Close all")
    assert foo.rows() == ["insmod-116"]
    foo.page.click(".treegrid .row[data-row='0'] .twist")
    assert foo.rows() == ["insmod-116", " load_module ✗ -ENODEV"]


def test_next_error_goes_around(foo: Any) -> None:
    press(foo, "Home")
    seen = []
    for _ in range(8):
        press(foo, "e")
        seen.append(foo.current.split(" ✗")[0])
    assert seen[:7] == [
        "load_module", "do_init_module", "do_one_initcall", "foo_init [foo]", "foo_probe [foo]",
        "foo_probe_slot [foo]", "foo_read_id [foo]",
    ]  # fmt: skip
    assert seen[7] == "load_module"


def test_a_search_counts_and_walks(foo: Any) -> None:
    press(foo, "/")
    foo.page.keyboard.type("foo_read_id")
    assert foo.page.inner_text(".found") == "3 calls"
    foo.page.keyboard.press("Escape")
    press(foo, "/")
    foo.page.keyboard.type("/^foo_probe_slot/")
    assert foo.page.inner_text(".found") == "3 calls"
    before = foo.page.evaluate("page.grid.rows.id(page.grid.current)")
    foo.page.keyboard.press("Enter")
    assert foo.current.startswith("foo_probe_slot") and foo.page.inner_text(".found") == "1 of 3 calls"
    assert foo.page.evaluate("page.grid.rows.id(page.grid.current)") < before, "the last one was behind: around the end"
    foo.page.keyboard.press("Escape")
    assert foo.page.evaluate("document.activeElement.id") == "tree"


def test_siblings_sort(foo: Any) -> None:
    foo.page.click(".treegrid [data-order=total] button")
    assert foo.current.startswith("foo_read_id"), "the same call stays the current one"
    totals = foo.page.evaluate(
        "(() => { const { rows } = page.grid, found = []; let at = rows.reveal(page.head.open);"
        " while (rows.depth(at) > 2) at = rows.above(at);"
        " for (let i = rows.above(at) + 1; i < rows.length && rows.depth(i) >= 2; i++)"
        "  if (rows.depth(i) === 2) found.push(rows.took(i)); return found; })()"
    )
    assert len(totals) > 5 and totals == sorted(totals, reverse=True)


def test_the_way_of_the_error_leads_into_the_tree(foo: Any) -> None:
    foo.page.click(".way button:has-text('do_init_module')")
    assert foo.current.startswith("do_init_module")
    assert foo.page.evaluate("document.activeElement.id") == "tree"


def test_functions_sort_and_lead_to_their_calls(foo: Any) -> None:
    foo.page.click("#tab-functions")
    rows = foo.rows(".functions")
    shown = foo.page.inner_text(".functions .row[data-row='0'] .self_ns")
    foo.page.click(".functions [data-by=n_calls] button")
    assert foo.rows(".functions") != rows
    counts = foo.page.evaluate(
        "[...document.querySelectorAll('.functions .row[data-row] .n_calls')].map(e => +e.innerText.replace(/,/g, ''))"
    )
    assert counts[:20] == sorted(counts[:20], reverse=True) and counts[0] > 100
    foo.page.click(".functions [data-by=self_ns] button")
    assert foo.page.inner_text(".functions .row[data-row='0'] .self_ns") == shown
    foo.page.fill("#panel-functions input", "foo_read_id")
    assert foo.rows(".functions") == ["foo_read_id [foo]"]
    foo.page.click(".functions .row[data-row='0'] button.name")
    assert foo.page.is_visible("#panel-tree") and foo.current.startswith("foo_read_id [foo]")
    assert foo.page.inner_text(".found") == "1 of 3 calls"


def test_tabs_by_keyboard(foo: Any) -> None:
    foo.page.focus("#tab-tree")
    foo.page.keyboard.press("ArrowRight")
    assert foo.page.evaluate("document.activeElement.id") == "tab-functions" and foo.page.is_visible(".functions")
    foo.page.keyboard.press("End")
    assert foo.page.is_visible("#panel-about") and not foo.page.is_visible("#panel-tree")
    assert "insmod foo.ko fail=19 (exit status 1)" in foo.page.inner_text("#panel-about")


def test_only_rows_in_view_are_elements(pages: Callable[..., Path], show: Callable[..., Any]) -> None:
    seen = show(pages(*CAT))
    seen.page.evaluate("page.grid.openAll()")
    assert seen.page.evaluate("page.grid.rows.length") > 15_000
    assert seen.page.evaluate("document.querySelectorAll('.treegrid .row').length") < 80
    press(seen, "End")
    last = seen.page.evaluate("page.grid.rows.length - 1")
    assert seen.page.is_visible(f"#row-{last}")


@pytest.mark.parametrize(
    ("size", "options"),
    [((400, 800), {}), ((640, 400), {"device_scale_factor": 2}), ((1280, 800), {"color_scheme": "dark"})],
    ids=["narrow", "200 %", "dark"],
)
def test_it_fits(size: tuple[int, int], options: dict[str, Any], pages: Any, show: Any) -> None:
    seen = show(pages(*FOO), width=size[0], height=size[1], **options)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= size[0], "nothing to scroll sideways"
    assert seen.current.startswith("foo_read_id")
    box = seen.page.evaluate("(r => [r.width, r.height])(document.querySelector('#tree').getBoundingClientRect())")
    assert box[0] > 300 and box[1] >= 200
    ground = seen.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 150) == ("color_scheme" in options)
    seen.page.click("#theme")
    assert seen.page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != ground
    assert seen.problems == []


def test_roles_and_names(foo: Any) -> None:
    assert foo.page.get_attribute("#tree", "role") == "treegrid" and foo.page.get_attribute("#tree", "aria-label")
    unnamed = foo.page.evaluate(
        "[...document.querySelectorAll('button, input, [role=treegrid], [role=grid], section, aside')]"
        ".filter(e => !e.innerText?.trim() && !e.ariaLabel && !e.title).map(e => e.outerHTML.slice(0, 80))"
    )
    assert unnamed == []
    cells = foo.page.evaluate(
        "[...document.querySelectorAll('.treegrid .row[data-row]:not([hidden])')].every(row =>"
        " row.role === 'row' && +row.ariaLevel > 0 && [...row.children].every(c => c.role === 'gridcell'))"
    )
    assert cells is True


def test_a_loss_is_a_row_and_is_said_ahead(pages: Callable[..., Path], show: Callable[..., Any]) -> None:
    seen = show(pages("examples/insmod-lossy.report.txt.xz"))
    assert "where the tracer lost records" in seen.page.inner_text(".losses")
    found = seen.page.evaluate(
        "(() => { page.grid.sortBy('time'); page.grid.openAll(); const { rows } = page.grid;"
        " return rows.specials.filter(s => s.kind === 'loss').map(s => s.text); })()"
    )
    assert found and all("lost" in text for text in found)


def test_the_flame_graph_zooms_marks_and_leads_to_the_tree(foo: Any) -> None:
    foo.page.click("#tab-flame")
    said = "#panel-flame .said"
    foo.page.focus("canvas.flame")
    for key in ("ArrowDown", "ArrowDown"):
        foo.page.keyboard.press(key)
    words = foo.page.inner_text(said)
    assert words.startswith("load_module: ") and "1 ✗ returned an error" in words
    foo.page.keyboard.press("ArrowDown")
    slowest = foo.page.inner_text(said).split(":")[0]
    foo.page.keyboard.press("Enter")
    flame = "page.views.get('flame')"
    box = foo.page.evaluate(f"{flame}.boxOf({flame}.root)")
    assert box["x"] == 0 and box["width"] == foo.page.evaluate(f"{flame}.wide")
    foo.page.keyboard.press("Escape")
    assert foo.page.evaluate(f"{flame}.root") == -1
    foo.page.mouse.click(640, foo.page.locator("canvas.flame").bounding_box()["y"] + 9)
    assert foo.page.evaluate(f"{flame}.nameOf({flame}.root)") == "insmod-116"
    foo.page.keyboard.press("ArrowDown")
    foo.page.keyboard.press("ArrowDown")
    foo.page.keyboard.press("t")
    assert foo.current.startswith(slowest)
    assert foo.problems == []


def test_the_timeline_zooms_and_leads_to_the_tree(foo: Any) -> None:
    foo.page.click("#tab-timeline")
    view = "page.views.get('timeline').view"
    whole = foo.page.evaluate(view)
    assert whole[1] - whole[0] > 600_000_000, "kfgraph's own cost passed, though no total holds it"
    foo.page.focus("canvas.time")
    foo.page.keyboard.press("+")
    part = foo.page.evaluate(view)
    assert part[1] - part[0] == pytest.approx((whole[1] - whole[0]) / 2)
    foo.page.keyboard.press("ArrowRight")
    assert foo.page.evaluate(view)[0] > part[0]
    foo.page.keyboard.press("0")
    assert foo.page.evaluate(view) == whole
    foo.page.click("text=To the current call")
    hits = foo.page.evaluate("page.views.get('timeline').hits.map(h => [h[0], h[1], h[2], page.nameOf(h[3])])")
    left, right, y, _ = next(hit for hit in hits if hit[3] == "foo_read_id [foo]")
    box = foo.page.locator("canvas.time").bounding_box()
    foo.page.mouse.click(box["x"] + (left + right) / 2 - 1, box["y"] + y + 4)
    assert foo.page.is_visible("#panel-tree") and foo.current.startswith("foo_read_id")
    assert foo.problems == []


def test_a_row_far_down_in_a_new_list_is_in_view(foo: Any) -> None:
    """Before the first row is there, how high a row is must not be guessed: row 2,000 was 30 rows off."""
    script = """async () => {
      const box = document.createElement("div");
      box.style = "height: 400px; overflow: auto; position: fixed; inset: 0 auto auto 0; width: 300px";
      document.body.append(box);
      const fill = (row, n) => { row.textContent = n; row.style.height = "21.6875px"; };
      const list = new page.grid.list.constructor(box, { count: () => 3000, fill });
      list.show(2000);
      for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
      const seen = box.getBoundingClientRect();
      return [...box.querySelectorAll(".row")].filter(row => {
        const at = row.getBoundingClientRect();
        return !row.hidden && at.top >= seen.top && at.bottom <= seen.bottom;
      }).map(row => Number(row.textContent));
    }"""
    rows = foo.page.evaluate(script)
    assert 2_000 in rows and rows == list(range(rows[0], rows[0] + len(rows))) and 15 <= len(rows) <= 20


def test_sums_and_what_is_left_out_are_told_everywhere(pages: Callable[..., Path], show: Callable[..., Any]) -> None:
    floor = pages(*FOO, "--max-size", "1").stat().st_size
    seen = show(pages(*FOO, "--max-size", str(floor + 6_000)))
    line = seen.page.inner_text(".smaller")
    assert "calls in sums" in line and "calls left out" in line and "\n" not in line
    seen.page.click(".smaller summary")
    said = seen.page.inner_text(".smaller")
    assert "calls are in sums" in said and "are left out" in said
    assert seen.current == "foo_read_id [foo] ✗ -ENODEV ← born here"
    counted = (
        "[...page.tree.label.keys()].filter(i => !page.tree.isInterrupt(i))"
        ".reduce((n, i) => n + (page.tree.sums.get(i)?.count ?? 1), 0)"
    )
    assert seen.page.evaluate(counted) == 5_811 + 1, "a task is one"
    largest = seen.page.evaluate(
        "[...page.tree.label.keys()].filter(i => page.tree.sums.get(i) && !page.isRest(i) && !page.tree.isInterrupt(i))"
        ".sort((a, b) => page.tree.sums.get(b).count - page.tree.sums.get(a).count)[0]"
    )
    seen.page.evaluate(f"page.grid.goTo({largest})")
    count = seen.page.evaluate(f"page.tree.sums.get({largest}).count")
    assert seen.current.endswith(f" × {count:,}") and count > 100
    facts = seen.page.inner_text("aside.details")
    assert f"{count:,} of one caller" in facts and "Each" in facts and "are not in this page" in facts
    assert "CPU" not in facts and "Start" not in facts
    rest = seen.page.evaluate("[...page.tree.label.keys()].find(i => page.isRest(i))")
    above = seen.page.evaluate(f"page.nameOf(page.tree.parent[{rest}])")
    seen.page.evaluate(f"page.grid.goTo({rest})")
    assert seen.current.startswith("calls left out × ") and "Left out" in seen.page.inner_text("aside.details")
    assert f"--root {above.split(' ')[0]}" in seen.page.inner_text("aside.details code")
    seen.page.fill("#search", "/./")
    assert re.fullmatch(r"5,811 calls, (\d interrupts?, )?1 task", seen.page.inner_text("output.found"))
    seen.page.click("#tab-timeline")
    drawn = seen.page.inner_text("#panel-timeline .said")
    assert re.search(r"[\d,]+ calls in sums are not drawn\.", drawn)
    assert seen.page.evaluate("page.views.get('timeline').hits.some(h => page.tree.sums.get(h[3]))") is False
    seen.page.click("#tab-flame")
    seen.page.wait_for_selector("canvas.flame")
    assert seen.page.evaluate("page.views.get('flame').frames.calls[0]") == 5_811
    assert seen.problems == []


CUT_OFF = (
    "selector => [...document.querySelectorAll(selector)].filter(cell => cell.offsetWidth && "
    "cell.scrollWidth > cell.clientWidth).map(cell => cell.innerText)"
)


@pytest.mark.parametrize("args", [("tests/fixtures/traces/cut/6.1-lossy.dat",), (*CAT, "--compensate")])
@pytest.mark.parametrize("width", [1280, 1024, 800, 420, 320])
def test_no_number_is_cut_off_and_names_are_in_view(
    width: int, args: tuple[str, ...], pages: Any, show: Any
) -> None:
    seen = show(pages(*args), width=width)
    longest = "some => some.forEach(([all, text]) => document.querySelectorAll(all).forEach(e => e.textContent = text))"
    own = "≈ 888.888 ms" if "--compensate" in args else "888.888 ms"
    seen.page.evaluate(longest, [[".treegrid .row .total", "≥ 888.888 ms"], [".treegrid .row .self", own]])
    numbers = ".treegrid .total, .treegrid .self, .treegrid .share, .treegrid [role=columnheader]"
    assert seen.page.evaluate(CUT_OFF, numbers) == []
    seen.page.click("#tab-functions")
    times = ", ".join(f".functions .row[data-row] .{name}" for name in ("self_ns", "total_ns", "p99_ns", "max_ns"))
    seen.page.evaluate(longest, [[times, "888.888 ms"]])
    assert seen.page.evaluate(CUT_OFF, ".functions .cell:not(.name)") == []
    box = seen.page.locator(".functions .row[data-row='0'] .cell.name").bounding_box()
    assert box["width"] > 100 and box["x"] + box["width"] <= width + 1, "a function's name needs no scrolling"
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_is_no_number_says_what_it_is(pages: Any, show: Any) -> None:
    seen = show(pages("examples/insmod-lossy.report.txt.xz"))
    titles = seen.page.evaluate(
        "[...document.querySelectorAll('.treegrid .row[data-row]:not([hidden])')].flatMap(row =>"
        " ['.total', '.self'].map(cell => row.querySelector(cell)).map(cell => [cell.innerText[0] ?? '', cell.title]))"
    )
    assert {title for first, title in titles if first == "≥"} == {"at least: an end was not recorded"}
    assert {title for first, title in titles if first == "?"} == {"not known"}
    assert {title for first, title in titles if first not in ("≥", "?")} == {""}


def test_on_paper_the_page_is_light_and_ends(foo: Any) -> None:
    foo.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    foo.page.evaluate("page.grid.openAll()")
    assert foo.page.evaluate("page.grid.rows.length") > 5_000
    foo.page.emulate_media(media="print")
    foo.page.wait_for_timeout(300)
    rgb = "name => getComputedStyle(document.querySelector(name)).color.match(/\\d+/g).slice(0, 3)"
    rgb += ".reduce((a, b) => a + +b, 0)"
    assert foo.page.evaluate(rgb, ".head h1") < 150 and foo.page.evaluate(rgb, ".treegrid .row .name") < 250
    assert foo.page.is_visible("#panel-about") and not foo.page.is_visible(".toolbar")
    assert foo.page.locator(".treegrid .row[data-row]:not([hidden])").count() == 2_000, "as many as somebody may read"
    assert "born here" in foo.page.inner_text(".answer")
    assert len(foo.page.pdf(format="A4")) > 10_000


def test_the_answer_of_what_did_not_fail_is_how_the_time_went(pages: Any, show: Any) -> None:
    seen = show(pages("examples/insmod-lossy.report.txt.xz"))
    said = seen.page.inner_text(".answer")
    assert "67.463 ms at work in these calls, 27.103 ms waiting. The largest self times: " in said
    names = seen.page.evaluate(
        "(() => { const found = []; const { rows } = page.grid;"
        " for (let i = 0; i < rows.length; i++) if (rows.isOpen(i)) found.push(page.nameOf(rows.id(i)));"
        " return found.concat(page.nameOf(rows.id(page.grid.current))); })()"
    )
    assert "schedule" not in names and len(names) > 2, "it opens on work, not on what waits"


def test_compensated_times_are_those_of_the_commands_and_marked(pages: Any, show: Any) -> None:
    """The numbers are those of ``show`` and ``top --compensate``; what is recorded says so."""
    trace = kfgraph.load(FOO[0])
    tree, functions = call_tree(trace, root="foo_probe", compensate=True).tree, top(trace, compensate=True)
    taken = functions.selection.tracer
    assert taken is not None
    seen = show(pages(*FOO, "--compensate"), width=1600)
    page = seen.page
    said = page.inner_text(".estimates")
    took, uncertain = (format_ns(ns) for ns in functions.tracer_ns)
    assert f"Estimates (≈): tracing took {took} ± {uncertain}, 1.162 us ± 200 ns inside each call" in said
    assert "Tracing took 37.8% of the recorded time at work; that is in no time marked ≈" in said
    selves = np.where(waiting_functions(trace)[trace.calls.func], -1, functions.selection.self_ns)
    share = taken.own_ns[selves >= 0].sum() / (taken.own_ns[selves >= 0].sum() + selves[selves >= 0].sum())
    assert f"{share:.1%}" == "37.8%"
    cells = page.evaluate(
        "[...document.querySelectorAll('.treegrid .row[data-row]')].filter(r => !r.hidden).map(r =>"
        " [r.querySelector('.name').innerText, r.querySelector('.total').innerText, r.querySelector('.self').innerText,"
        " r.querySelector('.total').title])"
    )
    shown = {name: rest for name, *rest in cells}
    assert shown["foo_probe"] == [
        f"≈ {format_ns(int(tree.total_ns[0]))}", f"≈ {format_ns(int(tree.self_ns[0]))}",
        "an estimate: less what tracing took",
    ]  # fmt: skip
    assert (shown["foo_probe"][0], shown["foo_probe"][1]) == ("≈ 808.926 us", "≈ 647.333 us")
    assert all(total[0] in "≈≥" for _, total, _, _ in cells)
    page.evaluate("page.grid.goTo(page.tree.label.indexOf(page.head.names.indexOf('foo_probe [foo]')))")
    panel = page.inner_text(".details")
    assert "≈ 808.926 us" in panel and "25.798 us ± 5.468 us, in no total" in panel
    assert "kfgraph show examples/insmod-foo-fail19.dat --compensate --root 'foo_probe [foo]'" in panel
    page.click("#tab-functions")
    titles = page.evaluate("[...document.querySelectorAll('.functions .header .cell')].map(c => c.innerText.trim())")
    assert titles[:4] == ["≈ Self", "±", "Share", "≈ Total"] and "≈ Longest" in titles and "Calls" in titles
    first = page.evaluate(
        "[...document.querySelectorAll('.functions .row[data-row] .cell')].slice(0, 4).map(c => c.innerText)"
    )
    assert first == [
        format_ns(int(functions.numbers.self_ns[0])), format_ns(int(functions.parts["uncertain_ns"][0])),
        f"{functions.self_share[0] * 100:.1f} %", format_ns(int(functions.numbers.total_ns[0])),
    ]  # fmt: skip
    page.click("#tab-timeline")
    node = page.evaluate(
        "(() => { const node = page.tree.label.indexOf(page.head.names.indexOf('foo_probe [foo]'));"
        " page.views.get('timeline').say(node); return node; })()"
    )
    assert node > 0 and "foo_probe [foo]: ≈ 808.926 us (834.724 us as recorded), at " in page.inner_text(
        "#panel-timeline .said"
    )
    assert seen.problems == []
    plain = show(pages(*FOO)).page
    assert plain.query_selector(".estimates") is None and "≈" not in plain.inner_text("main")
    # What share of the time is the tracer's is said there too, with the way to less of it.
    plain.click("#tab-about")
    assert "≈ 38.1% ± 8.2% of the time at work went into tracing" in plain.inner_text("#panel-about")


def test_what_tells_no_cost_makes_no_page(tmp_path: Path) -> None:
    out = tmp_path / "p.html"
    code, _, err = run("html", "tests/fixtures/cases/stale_parent.dat", "--compensate", "-o", out)
    assert code == 2 and "does not tell what it costs to trace a call" in err and not out.exists()


HARD = 2


def timer(*inside: Any, ns: int = 30) -> list[Any]:
    vector = call("__sysvec_apic_timer_interrupt", ns, call("hrtimer_interrupt", 10, *inside, context=HARD))
    return [call("irq_enter_rcu", 4), vector, call("irq_exit_rcu", 6)]


@pytest.fixture
def hit(tmp_path: Path, show: Callable[..., Any]) -> Any:
    """A read that three timer interrupts hit; a call in the second one failed."""
    failing = call("i2c_transfer", 5, retval=(1 << 32) - 5)
    body = [call("before", 5), *timer(), call("between", 9), *timer(failing, ns=5_000), *timer(), call("behind", 2_000)]
    trace = trace_of([call("read", 100, *body)], tasks=[Task(7, "cat")])
    path = tmp_path / "hit.html"
    path.write_text(page(Report(call_tree(trace, group_interrupts=True), top(trace), why(trace))))
    return show(path)


def test_an_interrupt_is_one_row_that_opens(hit: Any) -> None:
    hit.page.evaluate("page.grid.sortBy('time'), page.grid.closeAll(), page.grid.goTo(1), page.grid.toggle(1)")
    assert hit.rows() == [
        "cat-7", " read", "  before", "  ⚡ timer interrupt", "  between", "  ⚡ timer interrupt × 2 ✗ 1 inside",
        "  behind",
    ]  # fmt: skip
    totals = hit.page.evaluate(
        "[...document.querySelectorAll('.treegrid .row.interrupt:not([hidden]) .total')].map(e => e.innerText)"
    )
    assert totals == ["50 ns", "5.075 us"], "the sum of its calls"
    hit.page.click(".treegrid .row[data-row='3']")
    press(hit, "ArrowRight")
    assert hit.rows()[3:8] == [
        "  ⚡ timer interrupt", "   irq_enter_rcu", "   __sysvec_apic_timer_interrupt", "   irq_exit_rcu", "  between",
    ]  # fmt: skip
    press(hit, "ArrowLeft")
    assert hit.rows()[3:5] == ["  ⚡ timer interrupt", "  between"]


def test_a_loss_before_an_interrupt_is_a_row_before_it(tmp_path: Path, show: Callable[..., Any]) -> None:
    trace = trace_of([call("read", 100, call("before", 5), *timer(), call("behind", 7))], tasks=[Task(7, "cat")])
    row, zero = np.array([2, 6], np.int32), np.zeros(2, np.int32)
    lost = Losses(trace.calls.start_ns[row], zero.astype(np.int16), np.array([3, 4]), zero, row, zero)
    told = replace(trace, losses=lost)
    path = tmp_path / "lost.html"
    path.write_text(page(Report(call_tree(told, group_interrupts=True), top(told), why(told))))
    seen = show(path)
    seen.page.evaluate("page.grid.sortBy('time'), page.grid.closeAll(), page.grid.goTo(1), page.grid.toggle(1)")
    rows = seen.rows()[2:]
    assert [row.strip().split(" (")[0] for row in rows] == [
        "before", rows[1].strip().split(" (")[0], "⚡ timer interrupt", rows[3].strip().split(" (")[0], "behind",
    ]  # fmt: skip
    assert "3 records lost" in rows[1] and "4 records lost" in rows[3]


def facts(seen: Any) -> dict[str, str]:
    names, values = seen.page.evaluate(
        "['dt', 'dd'].map(tag => [...document.querySelectorAll(`aside.details ${tag}`)].map(e => e.innerText))"
    )
    return dict(zip(names, values, strict=True))


def test_the_panel_tells_what_an_interrupt_is(hit: Any) -> None:
    nodes = hit.page.evaluate("[...page.tree.label.keys()].filter(i => page.tree.isInterrupt(i))")
    hit.page.evaluate(f"page.grid.goTo({nodes[0]})")
    one = facts(hit)
    assert one.pop("Start") == "0.000000055 s"
    assert one == {
        "Interrupt": "⚡ timer interrupt", "Total": "50 ns", "Share": "0.7 % of all calls here", "CPU": "0",
        "Made of": "4 calls", "It hit": "read, which did not call it",
    }  # fmt: skip
    hit.page.evaluate(f"page.grid.goTo({nodes[1]})")
    two = facts(hit)
    assert (two["Times"], two["Total"], two["Average"], two["Made of"]) == ("2", "5.075 us", "2.538 us", "9 calls")
    assert hit.page.inner_text("aside.details code").endswith("--irq")
    assert hit.page.inner_text("#status") == "⚡ timer interrupt, 2 interrupts, 5.075 us"


def test_a_search_opens_interrupts_and_counts_them_apart(hit: Any) -> None:
    press(hit, "/")
    hit.page.keyboard.type("timer")
    assert hit.page.inner_text(".found") == "6 calls, 3 interrupts"
    hit.page.keyboard.press("Control+a")
    hit.page.keyboard.type("hrtimer")
    assert hit.page.inner_text(".found") == "3 calls"
    hit.page.evaluate("page.grid.closeAll()")
    hit.page.focus("#search")
    hit.page.keyboard.press("Enter")
    assert hit.current.startswith("hrtimer_interrupt")
    above = "(rows => page.nameOf(rows.id(rows.above(rows.above(page.grid.current)))))(page.grid.rows)"
    assert hit.page.evaluate(above) == "⚡ timer interrupt"
    hit.page.evaluate("page.grid.closeAll()")
    press(hit, "e")
    assert hit.current.startswith("i2c_transfer ✗ -EIO"), "an error inside is found"


def test_no_other_view_takes_an_interrupt_for_a_call(hit: Any) -> None:
    assert hit.page.evaluate("page.nCalls") == 17
    hit.page.evaluate("page.grid.closeAll(), page.grid.goHot(0)")
    assert hit.current == "behind", "the interrupts took longer, and are no callees"
    hit.page.click("#tab-flame")
    names = hit.page.evaluate("(f => f.frames.label.map((_, i) => f.nameOf(i)))(page.views.get('flame'))")
    assert names == [
        "cat-7", "read", "before", "irq_enter_rcu", "__sysvec_apic_timer_interrupt", "hrtimer_interrupt",
        "irq_exit_rcu", "between", "i2c_transfer", "behind",
    ]  # fmt: skip
    hit.page.click("#tab-timeline")
    drawn = hit.page.evaluate("page.views.get('timeline').hits.map(h => [page.nameOf(h[3]), h[2]])")
    top = min(y for _, y in drawn)
    lines = {name: round((y - top) / 16) for name, y in drawn}
    assert lines["read"] == 0 and lines["behind"] == 1
    assert lines["__sysvec_apic_timer_interrupt"] == 1, "right below the call that it hit"
    assert hit.problems == []
