"""What the tests of the explorer share."""

from __future__ import annotations

import asyncio
import importlib.util
import time

import pytest


async def until_idle(_min_sleep: float = 0, max_sleep: float = 5) -> None:
    """Until the event loop has nothing to do but to wait for threads and timers, and the screen nothing to draw."""
    from textual._context import active_app

    loop, app = asyncio.get_running_loop(), active_app.get()
    limit = time.monotonic() + max_sleep
    n_quiet = 0
    while n_quiet < 3 and time.monotonic() < limit:
        await asyncio.sleep(0)
        # A new size is heeded by a timer.
        while (loop._ready or app._resize_event is not None) and time.monotonic() < limit:  # type: ignore[attr-defined]
            await asyncio.sleep(0 if loop._ready else 0.001)  # type: ignore[attr-defined]
        screen = app.screen
        to_do = screen._callbacks, screen._dirty_widgets, screen._layout_required, screen._repaint_required
        n_quiet = 0 if any(to_do) else n_quiet + 1
        # What a timer asks for 60 times a second: the screen draws, and calls what is to be called after that.
        screen.call_later(screen._on_timer_update)


@pytest.fixture(autouse=True)
def quick_pilot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual's Pilot sleeps six times 20 ms for a key, and guesses from the CPU time whether all is done.

    The screen's own timer never fires: what it does comes when all messages are handled, in the same order each time.
    """
    if importlib.util.find_spec("textual"):
        monkeypatch.setattr("textual.screen.UPDATE_PERIOD", 60.0)
        for module in ("textual.app", "textual.pilot"):
            monkeypatch.setattr(f"{module}.wait_for_idle", until_idle)
