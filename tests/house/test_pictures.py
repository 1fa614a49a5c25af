"""The pictures of docs/: each page of a command has one, each picture a page."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from kfgraph.cli.commands import COMMANDS

REPOSITORY = Path(__file__).resolve().parents[2]
PICTURES = REPOSITORY / "docs" / "pictures"
PAGES = [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("docs/*.md"))]
ON_THIS_MACHINE = {"doctor"}
"""Commands whose output no example gives."""


def pictures_of(page: Path) -> list[Path]:
    return [(page.parent / link).resolve() for link in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text())]


@pytest.mark.parametrize("name", [command.name for command in COMMANDS if command.name not in ON_THIS_MACHINE])
def test_the_page_of_a_command_has_pictures_of_it(name: str) -> None:
    shown = pictures_of(REPOSITORY / "docs" / f"{name}.md")
    assert shown and [one for one in shown if not one.is_file()] == []
    texts = [one.read_text() for one in shown if one.suffix == ".svg"]
    assert all(f"kfgraph&#160;{name}" in text for text in texts)


def test_every_picture_is_on_a_page_and_all_are_small() -> None:
    linked = {picture for page in PAGES for picture in pictures_of(page)}
    assert linked == set(PICTURES.iterdir()) and len(linked) >= 13
    assert sum(picture.stat().st_size for picture in linked) < 1.5 * (1 << 20)


def test_pictures_load_nothing() -> None:
    for picture in PICTURES.glob("*.svg"):
        urls = set(re.findall(r"""(?:href|src)=["']?(\w+:[^"']*)|url\((?!#)([^)]*)\)""", picture.read_text()))
        assert urls == set(), picture.name
        assert "<svg" in picture.read_text()[:400]


def test_pictures_of_pages_are_whole_png_files() -> None:
    for picture in PICTURES.glob("*.png"):
        data = picture.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[-8:-4] == b"IEND"
        width, height = struct.unpack(">II", data[16:24])
        assert 1_000 <= width <= 1_300 and 300 <= height <= 800
