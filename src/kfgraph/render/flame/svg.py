"""A flame graph as one SVG that needs nothing else: frames that every viewer draws, and a script for browsers.

The script gets all frames as columns, so that those that are too small to draw at first can be zoomed into. Names
reach the drawing as text of elements only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfgraph.analyze.flame import Flame
from kfgraph.analyze.forest import Int64
from kfgraph.analyze.sourcelinks import SourceLinks
from kfgraph.model.spelling import spelt_out
from kfgraph.model.units import format_ns, format_share, plural
from kfgraph.render.flame.colours import colour_of
from kfgraph.render.flame.places import places
from kfgraph.render.html.addresses import addresses
from kfgraph.render.html.markup import program, text

MODULES = ("units", "links", "svg")
MOST = 100_000
"""So many frames at most, the widest; the others are counted."""
_WIDE, _PAD, _HEIGHT, _TOP, _BOTTOM = 1200, 10, 16, 42, 30
_LETTER = 7.22
_LEAST = 0.5
"""Frames that are narrower, in pixels, are drawn by the script only."""
_STYLE = (
    "text{font:12px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#111}"
    "#title{font-size:16px;text-anchor:middle}.button{cursor:pointer;fill:#666}.button:hover,.button:focus{fill:#000}"
    "#frames g{cursor:pointer}#frames g:hover rect{stroke:#000;stroke-width:.7}.above{opacity:.55}"
    "#frames text{pointer-events:none}"
)
_MEASURES = {
    "time": "time", "oncpu": "time on the CPU", "asleep": "time asleep", "preempted": "time preempted",
    "self": "self time", "calls": "calls", "errors": "calls that returned an error",
}  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """``title`` is text; ``icicle``: the roots are at the top. ``n_left_out`` frames are too many.

    ``links`` lead to the sources.
    """

    flame: Flame
    title: str
    icicle: bool
    n_left_out: int
    links: SourceLinks | None = None


def drawing(
    flame: Flame, *, title: str = "", icicle: bool = False, links: SourceLinks | None = None
) -> Drawing:
    """``flame`` with the MOST widest frames."""
    kept = flame
    if len(flame) > MOST:
        kept = flame.at_least(int(np.partition(flame.value, len(flame) - MOST)[len(flame) - MOST]) + 1)
    return Drawing(kept, title or title_of(flame), icicle, len(flame) - len(kept), links)


def title_of(flame: Flame) -> str:
    """``trace.dat: time by function``."""
    turned = ", callers above" if flame.upside_down else ""
    less = ", less what tracing took (estimated)" if flame.estimated and flame.in_ns else ""
    return f"{spelt_out(flame.about) or 'kfgraph'}: {_MEASURES[flame.by]}{less}{turned}"


def sentence(flame: Flame, frame: int) -> str:
    """What a frame is: ``vfs_open: 1.234 ms, 5.1 %, 3 calls``."""
    value, n_calls = int(flame.value[frame]), int(flame.n_calls[frame])
    said = [format_ns(value) if flame.in_ns else plural(value, "call"), format_share(value / max(flame.whole, 1))]
    if flame.in_ns and n_calls:
        said.append(plural(n_calls, "call"))
    return f"{spelt_out(flame.labels[int(flame.label[frame])])}: {', '.join(said)}"


def svg(drawn: Drawing) -> str:
    """The whole file."""
    flame = drawn.flame
    x, width = places(flame, _WIDE - 2 * _PAD)
    x += _PAD
    shown = np.flatnonzero(width >= _LEAST)
    deepest = int(flame.level[shown].max(initial=0))
    height = _TOP + (deepest + 1) * _HEIGHT + _BOTTOM
    labels, which, fills = _names(flame)
    frames = [_frame(drawn, frame, x[frame], width[frame], deepest, fills[which[frame]]) for frame in shown.tolist()]
    title = text(drawn.title)
    data = {
        "names": list(map(spelt_out, labels)), "fills": fills, "which": which.tolist(), "level": flame.level.tolist(),
        "value": flame.value.tolist(), "calls": flame.n_calls.tolist(), "whole": flame.whole, "inNs": flame.in_ns,
        "icicle": drawn.icicle, "wide": _WIDE, "pad": _PAD, "height": _HEIGHT, "top": _TOP, "bottom": _BOTTOM,
        "letter": _LETTER, "links": addresses(drawn.links, labels),
    }  # fmt: skip
    buttons = "".join(
        f'<text class="button" id="{name}" role="button" tabindex="0" x="{at}" y="36"{anchor}>{said}</text>'
        for name, at, anchor, said in (
            ("reset", _PAD, ' visibility="hidden"', "Reset zoom (Esc)"),
            ("case", _WIDE - _PAD - 130, ' text-anchor="end"', "ic (Ctrl-I)"),
            ("search", _WIDE - _PAD, ' text-anchor="end"', "Search (Ctrl-F)"),
        )
    )
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<svg version="1.1" width="{_WIDE}" height="{height}" viewBox="0 0 {_WIDE} {height}" xmlns="http://www.w3.org/2000/svg">
<style>{_STYLE}</style>
<rect id="ground" x="0" y="0" width="100%" height="100%" fill="#fbfbf7"/>
<text id="title" x="{_WIDE / 2}" y="20">{title}</text>
{buttons}
<g id="frames">
{"".join(frames)}</g>
<text id="said" x="{_PAD}" y="{height - 10}" aria-live="polite"> </text>
<text id="matched" x="{_WIDE - _PAD}" y="{height - 10}" text-anchor="end"> </text>
<script type="application/json" id="data">{_json(data)}</script>
<script><![CDATA[{program(MODULES)}]]></script>
</svg>
"""


def _json(data: dict[str, Any]) -> str:
    """JSON without a letter that means something in XML."""
    plain = json.dumps(data, separators=(",", ":"))
    return plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _names(flame: Flame) -> tuple[list[str], Int64, list[str]]:
    """(labels, the number of that of each frame, the colour of each): one of each label and hue."""
    keys, which = np.unique(flame.label.astype(np.int64) << 8 | flame.hue, return_inverse=True)
    labels = [flame.labels[key >> 8] for key in keys.tolist()]
    fills = [colour_of(label, key & 0xFF) for label, key in zip(labels, keys.tolist(), strict=True)]
    return labels, which, fills


def _frame(drawn: Drawing, frame: int, x: float, width: float, deepest: int, fill: str) -> str:
    flame = drawn.flame
    level = int(flame.level[frame])
    y = _TOP + (level if drawn.icicle else deepest - level) * _HEIGHT
    name = spelt_out(flame.labels[int(flame.label[frame])])
    fits = int((width - 6) / _LETTER)
    written = name if len(name) <= fits else f"{name[: fits - 1]}…" if fits >= 3 else ""
    label = f'<text x="{x + 3:.1f}" y="{y + 12}">{text(written)}</text>' if written else ""
    place = f'x="{x:.1f}" y="{y}" width="{max(width - 0.3, 0.2):.1f}" height="{_HEIGHT - 1}"'
    return (
        f"<g><title>{text(sentence(flame, frame))}</title>"
        f'<rect {place} fill="{fill}"/>{label}</g>\n'
    )
