"""A browser, and pages to open in it."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kfgraph.cli.app import main

REPOSITORY = Path(__file__).resolve().parents[2]
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, without a screen."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no chromium here: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="no playwright here: pip install playwright")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield started
        started.close()


def made(output: Path, *args: str) -> str:
    """What ``kfgraph html`` writes to stderr."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        code = main(["html", *args, "-o", str(output)])
    assert code == 0, err.getvalue()
    return err.getvalue()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``pages(*args)``: the page that ``kfgraph html`` makes of them, once."""
    folder = tmp_path_factory.mktemp("pages")
    known: dict[tuple[str, ...], Path] = {}

    def page(*args: str) -> Path:
        if args not in known:
            known[args] = folder / f"{len(known)}.html"
            made(known[args], *args)
        return known[args]

    return page


class Opened:
    """A page in a browser, with all that it asked for and complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.problems: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    def rows(self, grid: str = ".treegrid") -> list[str]:
        """The names in view, set in as they are."""
        script = (
            "grid => [...document.querySelectorAll(`${grid} .row[data-row]`)].filter(row => !row.hidden)"
            ".map(row => ' '.repeat((row.ariaLevel ?? 1) - 1)"
            " + (row.querySelector('.label') ?? row.lastChild).innerText.trim())"
        )
        return list(self.page.evaluate(script, grid))

    @property
    def current(self) -> str:
        """The name on the current row."""
        return str(self.page.inner_text(".treegrid .row.current .label")).strip()


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Opened]]:
    """``show(path, width=, height=, ...)``: open a page and wait until it is ready."""
    contexts = []

    def opened(path: Path, *, width: int = 1280, height: int = 800, **options: Any) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        seen = Opened(context.new_page())
        seen.page.goto(path.as_uri())
        seen.page.wait_for_selector("body[data-ready]", timeout=20_000)
        return seen

    yield opened
    for context in contexts:
        context.close()
