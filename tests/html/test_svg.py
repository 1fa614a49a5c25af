"""The flame graph's SVG in a browser."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from running import kfgraph


@pytest.fixture
def graph(browser: Any, repository: Path, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    contexts = []

    def opened(*args: str) -> Any:
        path = tmp_path / "flame.svg"
        assert kfgraph("flame", repository / "examples/insmod-fail19.dat", "-o", path, *args)[0] == 0
        context = browser.new_context(viewport={"width": 1240, "height": 700})
        contexts.append(context)
        page = context.new_page()
        page.problems, page.requests = [], []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


def frames(page: Any) -> dict[str, float]:
    """The width of each frame that is drawn, by its name; of several the widest."""
    found: dict[str, float] = {}
    for name, width in drawn(page, "width"):
        found[name] = max(float(width), found.get(name, 0))
    return found


def drawn(page: Any, *attributes: str) -> list[tuple[str, ...]]:
    """The name of each frame, and these attributes of its box."""
    script = (
        "names => [...document.querySelectorAll('#frames g')].map(g => [g.querySelector('title').textContent"
        ".split(':')[0], ...names.map(name => g.querySelector('rect').getAttribute(name))])"
    )
    return [tuple(one) for one in page.evaluate(script, list(attributes))]


def click(page: Any, name: str) -> None:
    page.evaluate(
        "name => [...document.querySelectorAll('#frames g')]"
        ".find(g => g.querySelector('title').textContent.startsWith(`${name}:`))"
        ".dispatchEvent(new MouseEvent('click'))",
        name,
    )


def test_a_click_zooms_and_escape_shows_all(graph: Callable[..., Any]) -> None:
    page = graph()
    first = frames(page)
    assert first["insmod-260"] == pytest.approx(1179.7) and first["do_init_module"] == pytest.approx(813.5, abs=3)
    assert "free_module" in first
    click(page, "do_init_module")
    click(page, "free_module")
    zoomed = frames(page)
    assert zoomed["free_module"] == zoomed["load_module"] == pytest.approx(1179.7)
    # What was too small to draw is there now.
    assert len(set(zoomed) - set(first)) > 10
    assert page.get_attribute("#reset", "visibility") == "visible"
    page.keyboard.press("Escape")
    assert frames(page) == first and page.get_attribute("#reset", "visibility") == "hidden"
    assert page.problems == [] and len(page.requests) == 1


def test_search_marks_and_says_how_much(graph: Callable[..., Any]) -> None:
    page = graph()
    page.once("dialog", lambda dialog: dialog.accept("^BLOCKING_notifier"))
    page.click("#search")
    assert page.text_content("#matched") == "Matched: 0.0 %, 0 frames"
    page.keyboard.press("Control+i")
    assert page.text_content("#matched") == "Matched: 4.6 %, 2 frames"
    assert page.evaluate("document.querySelectorAll('rect[fill=\"#e600e6\"]').length") == 2
    page.click("#search")
    assert page.text_content("#matched").strip() == ""
    assert page.evaluate("document.querySelectorAll('rect[fill=\"#e600e6\"]').length") == 0
    page.once("dialog", lambda dialog: dialog.accept("load_module("))
    page.keyboard.press("Control+f")
    assert page.text_content("#matched") == "Matched: 0.0 %, 0 frames"
    assert page.problems == []


def test_hovering_says_what_a_frame_is(graph: Callable[..., Any]) -> None:
    page = graph("--icicle")
    page.mouse.move(600, 42 + 16 + 8)
    assert page.text_content("#said") == "load_module: 58.967 ms, 100.0 %, 1 call (Ctrl-click: source)"
    page.mouse.move(600, 42 + 8)
    assert page.text_content("#said") == "insmod-260: 58.967 ms, 100.0 %", "a task has no source"
    page.mouse.move(600, 10)
    assert page.text_content("#said").strip() == ""


def test_the_script_draws_what_the_file_held(graph: Callable[..., Any], repository: Path) -> None:
    page = graph()
    name = "{http://www.w3.org/2000/svg}"
    held = ET.fromstring(kfgraph("flame", repository / "examples/insmod-fail19.dat", "-o", "-")[1].encode())
    places = {
        (g.find(f"{name}title").text.split(":")[0], g.find(f"{name}rect").get("x"), g.find(f"{name}rect").get("fill"))
        for g in held.iter(f"{name}g")
        if g.get("id") is None
    }
    now = set(drawn(page, "x", "fill"))
    assert len(places) > 50
    assert len(places - now) <= 2  # a place half-way between two tenths of a pixel


def test_a_click_with_ctrl_opens_the_source_and_does_not_zoom(graph: Callable[..., Any], tmp_path: Path) -> None:
    page = graph("--icicle", "--link", f"file://{tmp_path}/{{function}}.html")
    (tmp_path / "load_module.html").write_text("<p>here")
    first = frames(page)
    with page.context.expect_page() as opened:
        page.keyboard.down("Control")
        page.mouse.click(600, 42 + 16 + 8)
        page.keyboard.up("Control")
    assert opened.value.url == (tmp_path / "load_module.html").as_uri()
    assert opened.value.evaluate("opener") is None, "it learns nothing of this page"
    assert frames(page) == first and page.get_attribute("#reset", "visibility") == "hidden"
    page.mouse.click(600, 42 + 2 * 16 + 8)
    assert page.get_attribute("#reset", "visibility") == "visible" and len(page.context.pages) == 2, "a click zooms"
    named = page.evaluate(
        "[...document.querySelectorAll('#frames a')].map(a => [a.getAttribute('href').split('/').pop().split('.')[0],"
        " a.querySelector('title').textContent.split(':')[0].split('.')[0]])"
    )
    assert len(named) > 20 and all(link == name for link, name in named)
    assert page.evaluate("[...document.querySelectorAll('#frames a')].map(a => a.getAttribute('rel'))") == (
        ["noopener noreferrer"] * len(named)
    )


@pytest.mark.parametrize(("words", "begin"), [
    (("--no-links",), None), (("--source", "examples/foo"), "https://elixir.bootlin.com/linux/v6.1/A/ident/"),
])  # fmt: skip
def test_links_are_as_the_options_say(words: tuple[str, ...], begin: str | None, graph: Callable[..., Any]) -> None:
    page = graph(*words)
    links = page.evaluate("[...document.querySelectorAll('#frames a')].map(a => a.getAttribute('href'))")
    assert (links == []) == (begin is None) and all(link.startswith(str(begin)) for link in links)
    assert page.evaluate("graph.links.length") == (2 if begin else 0)
