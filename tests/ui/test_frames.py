"""How often the explorer lays the screen out, and paints, for one key."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("textual", reason="extra: Textual is not installed")

from textual._compositor import Compositor
from textual.screen import Screen

import kfgraph
from kfgraph.render.explorer.explorer import Explorer
from ui.test_explorer import EXAMPLES


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What was done since it was cleared. A frame is painted as soon as one is asked for: none waits for another."""
    monkeypatch.setattr("textual.screen.UPDATE_PERIOD", 1e-6)
    found = {"layouts": 0, "frames": 0}
    reflow, refresh = Compositor.reflow, Screen._compositor_refresh

    def counted_reflow(self: Compositor, *given: Any) -> Any:
        found["layouts"] += 1
        return reflow(self, *given)

    def counted_refresh(self: Screen[Any]) -> None:
        found["frames"] += bool(self._compositor._dirty_regions)
        refresh(self)

    monkeypatch.setattr(Compositor, "reflow", counted_reflow)
    monkeypatch.setattr(Screen, "_compositor_refresh", counted_refresh)
    return found


def counts(found: dict[str, int], keys: str, size: tuple[int, int] = (150, 30)) -> list[tuple[str, int, int]]:
    """(the key, layouts, frames) for each of the keys."""
    made = []

    async def go() -> None:
        app = Explorer(kfgraph.load(EXAMPLES / "insmod-foo-fail19.dat"), {})
        async with app.run_test(size=size) as pilot:
            for key in ("", *keys.split()):
                found.update(layouts=0, frames=0)
                if key:
                    await pilot.press(key)
                for _ in range(4):
                    await pilot.pause()
                made.append((key, found["layouts"], found["frames"]))

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, go()).result()
    return made[1:]


def test_a_key_in_a_tree_is_one_frame_and_no_layout(counted: dict[str, int]) -> None:
    """Every part of the screen stays where it is: the panel has room, and the tree has more rows than that."""
    keys = "s x u x u k ctrl+d ctrl+u pagedown pageup down up p o s S f F t t a a b b m right left E x u G g E"
    assert counts(counted, f"E {keys}", size=(150, 60))[1:] == [(key, 0, 1) for key in keys.split()]


def test_a_scrollbar_that_comes_or_goes_is_one_layout(counted: dict[str, int]) -> None:
    found = counts(counted, "g E x u G g o f F z Z enter enter", size=(150, 24))
    assert max(layouts for _, layouts, _ in found) == 1 and max(frames for _, _, frames in found) <= 2, found


def test_views_and_the_panel_come_in_few_layouts(counted: dict[str, int]) -> None:
    """Textual needs a second one where a widget with a scrollbar gets another size, a third for a new widget."""
    for key, layouts, frames in counts(counted, "i i 2 1 2 3 1 7 1 3 7 8 1"):
        assert layouts <= 3 and frames <= 6, (key, layouts, frames)
