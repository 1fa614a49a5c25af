"""The colours of frames, the same for one name from run to run: those of the HTML page (``canvas.mjs``)."""

from __future__ import annotations

import colorsys

from kfgraph.analyze.flame import Hue
from kfgraph.model.names import split_label


def hash_of(text: str) -> float:
    """0..1 of a text: FNV-1a over its UTF-16 units, as in ``canvas.mjs``."""
    value = 2166136261
    units = text.encode("utf-16-le", "surrogatepass")
    for low, high in zip(units[::2], units[1::2], strict=True):
        value = ((value ^ (low | high << 8)) * 16777619) & 0xFFFFFFFF
    return value / 4294967296


def colour_of(label: str, hue: int) -> str:
    """``#rrggbb``: warm for the kernel itself, a hue for each module, grey for what waits, purple for interrupts."""
    lightness = 74 + 10 * hash_of(label)
    if hue == Hue.TASK:
        return "#e4e4e4"
    if hue == Hue.WAITING:
        return _rgb(215, 8, lightness)
    if hue == Hue.INTERRUPT:
        return _rgb(285, 45, lightness)
    module = split_label(label)[1]
    if module:
        return _rgb(90 + 160 * hash_of(module), 45, lightness)
    return _rgb(18 + 32 * hash_of(label), 70, lightness)


def _rgb(hue: float, saturation: float, lightness: float) -> str:
    parts = colorsys.hls_to_rgb(hue / 360, lightness / 100, saturation / 100)
    return "#" + "".join(f"{round(part * 255):02x}" for part in parts)
