#!/usr/bin/env python3
"""Makes the pictures of docs/ anew, in docs/pictures: ``make docs-pictures``.

Every picture is what a command shows of a trace in examples/: a terminal as SVG (rich), the explorer as SVG (Textual),
pages and flame graphs as PNG (Chromium). ``trace.svg`` is the recording in README.md, which ``make transcript`` makes.
"""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import pty
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text
from transcript import README, transcripts

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURES = REPOSITORY / "docs" / "pictures"
KFGRAPH = Path(sys.executable).parent / "kfgraph"
WIDTH = 100
FOO = "examples/insmod-foo-fail19.dat"

TERMINAL = {
    "why": f"kfgraph why {FOO}",
    "show": f"kfgraph show {FOO} --root do_one_initcall --no-irq --min 20us",
    "top": f"kfgraph top {FOO} --root load_module --limit 12",
    "errors": "kfgraph errors examples/failing/busy_unmount.dat",
    "syscalls": "kfgraph syscalls examples/failing/process_limit.dat",
    "info": "kfgraph info examples/cat-enoent.dat",
    "export": f"kfgraph export {FOO} --root foo_init --no-irq --format folded",
    "flame-terminal": f"kfgraph flame {FOO} --root load_module",
}
# Fonts would be loaded from another host; a terminal has its own.
_FROM_ELSEWHERE = re.compile(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", re.DOTALL)


def on_terminal(command: str) -> str:
    """What ``command`` writes to a terminal, with its colours."""
    primary, secondary = pty.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 60, WIDTH, 0, 0))
    environment = {
        **os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PAGER": "cat", "LC_ALL": "C.UTF-8",
        "COLUMNS": str(WIDTH),
    }  # fmt: skip
    argv = [str(KFGRAPH), *shlex.split(command)[1:]]
    child = subprocess.Popen(argv, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, stdout=secondary,
                             stderr=subprocess.DEVNULL)  # fmt: skip
    os.close(secondary)
    written = b""
    while True:
        try:
            more = os.read(primary, 1 << 16)
        except OSError:  # its end
            break
        if not more:
            break
        written += more
    child.wait()
    os.close(primary)
    return written.decode().replace("\r\n", "\n")


def terminal_svg(name: str, command: str, shown: Text) -> str:
    """A window with what a command printed, its prompt and all."""
    typed = Text.assemble(("$ ", "dim"), (command, "bold"))
    width = max(line.cell_len for part in (typed, shown) for line in part.split()) + 1
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(typed, Text(""), shown, sep="\n", soft_wrap=True)
    svg = console.export_svg(title=command.split(" -", 1)[0], theme=MONOKAI, unique_id=f"kfgraph-{name}")
    return _FROM_ELSEWHERE.sub("", svg)


async def explorer_svg() -> str:
    """The explorer where it opens, with the panel of the call."""
    import kfgraph
    from kfgraph.render.explorer.explorer import Explorer

    app = Explorer(kfgraph.load(FOO), {})
    async with app.run_test(size=(120, 34)) as pilot:
        await pilot.pause(3)
        return _FROM_ELSEWHERE.sub("", app.export_screenshot(title=f"kfgraph ui {FOO}"))


def in_browser(folder: Path) -> None:
    """The page of ``kfgraph html``, and a flame graph."""
    from playwright.sync_api import sync_playwright

    page, flame = folder / "page.html", folder / "flame.svg"
    for command, output in (("html", page), ("flame", flame)):
        more = ["--root", "load_module"] if command == "flame" else []
        subprocess.run([str(KFGRAPH), command, FOO, "-o", str(output), *more], cwd=REPOSITORY, check=True)
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--headless", "--no-sandbox", "--disable-gpu"])

        def opened(file: Path, width: int, height: int) -> Any:
            seen = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
            seen.goto(file.as_uri())
            return seen

        seen = opened(page, 1100, 700)
        seen.wait_for_selector("body[data-ready]")
        seen.screenshot(path=PICTURES / "html-tree.png")
        seen.set_viewport_size({"width": 1100, "height": 600})
        seen.click("#tab-timeline")
        seen.wait_for_timeout(300)
        seen.screenshot(path=PICTURES / "html-timeline.png")
        seen = opened(flame, 1200, 410)
        seen.screenshot(path=PICTURES / "flame.png")
        browser.close()


def main() -> None:
    """Make all of them."""
    os.chdir(REPOSITORY)
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.iterdir():
        old.unlink()
    recorded = next(block for block in transcripts(README.read_text()) if block["command"].startswith("kfgraph trace"))
    said = re.sub(r"^    ", "", recorded["output"], flags=re.MULTILINE).rstrip("\n")
    pictures = {name: (command, Text.from_ansi(on_terminal(command))) for name, command in TERMINAL.items()}
    pictures["trace"] = (recorded["command"], Text(said))
    for name, (command, shown) in pictures.items():
        (PICTURES / f"{name}.svg").write_text(terminal_svg(name, command, shown))
    (PICTURES / "ui.svg").write_text(asyncio.run(explorer_svg()))
    with tempfile.TemporaryDirectory() as folder:
        in_browser(Path(folder))


if __name__ == "__main__":
    main()
