"""A flame graph on a terminal: a line of blocks for each level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from rich.cells import set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.style import Style
from rich.text import Text

from kfgraph.analyze.flame import Flame
from kfgraph.analyze.forest import Int64, by_level
from kfgraph.analyze.sourcelinks import SourceLinks
from kfgraph.model.spelling import spelt_out
from kfgraph.model.units import format_ns, format_share, plural
from kfgraph.render.cells import cut_middle
from kfgraph.render.flame.colours import colour_of
from kfgraph.render.flame.places import places

LEVELS = 100
"""So many lines at most."""
_EDGE = "│"
_LEAST_NAMED = 3
"""Narrower frames have no name."""
_WHAT = {
    "time": "", "oncpu": " on the CPU", "asleep": " asleep", "preempted": " preempted", "self": " of self time",
    "calls": "", "errors": " that returned an error",
}  # fmt: skip


@dataclass(frozen=True)
class FlameView:
    """``flame``, the roots at the bottom or, as an ``icicle``, at the top; ``links`` lead to the sources."""

    flame: Flame
    icicle: bool = False
    links: SourceLinks | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width)

    def lines(self, width: int) -> Iterator[Text]:
        """Every line, ``width`` columns wide."""
        flame = self.flame
        whole = format_ns(flame.whole) if flame.in_ns else plural(flame.whole, "call")
        what = _WHAT[flame.by] + (", less what tracing took (estimated)" if flame.estimated and flame.in_ns else "")
        turned = ", what has it at the " + ("top" if self.icicle else "bottom") + ", callers beyond"
        yield Text(f"{whole}{what}{turned if flame.upside_down else ''}, {plural(len(flame), 'frame')}", style="dim")
        x, wide = places(flame, width)
        begin, end = np.rint(x).astype(np.int64), np.rint(x + wide).astype(np.int64)
        drawn = np.flatnonzero((end > begin) & (flame.level < LEVELS))
        lines, links = by_level(drawn, flame.level), self._links(drawn[(end - begin)[drawn] > _LEAST_NAMED])
        for frames in lines if self.icicle else reversed(lines):
            yield level_line(flame, frames.tolist(), begin, end, width=width, styles=links)
        deeper = int((end > begin).sum()) - len(drawn)
        if deeper:
            yield Text(f"… {plural(deeper, 'frame')} beyond {LEVELS} levels (-o flame.svg)", style="dim")
        narrow = len(flame) - len(drawn) - deeper
        if narrow:
            yield Text(
                f"… {plural(narrow, 'frame')} narrower than a column (-o flame.svg, --root FUNC)", style="dim"
            )  # fmt: skip

    def _links(self, frames: npt.NDArray[np.int64]) -> dict[int, Style]:
        """The links of these frames, which have names."""
        if self.links is None:
            return {}
        flame = self.flame
        labels = [flame.labels[label] for label in flame.label[frames].tolist()]
        self.links.look_for(labels)
        urls = ((frame, self.links.of(label)) for frame, label in zip(frames.tolist(), labels, strict=True))
        return {frame: Style(link=url) for frame, url in urls if url}


def level_line(
    flame: Flame, frames: Sequence[int], begin: Int64, end: Int64, *, width: int,
    styles: Mapping[int, Style] = MappingProxyType({}),
) -> Text:  # fmt: skip
    """The ``frames`` of one level, each from the column ``begin[frame]`` to ``end[frame]``, with ``styles`` on some."""
    line, at = Text(no_wrap=True, overflow="crop"), 0
    for frame in frames:
        first, last = int(begin[frame]), int(end[frame])
        line.append(" " * (first - at))
        label, room = flame.labels[int(flame.label[frame])], last - first - 1
        name = spelt_out(label)
        if room >= 24:
            name += f" {format_share(int(flame.value[frame]) / max(flame.whole, 1))}"
        written = cut_middle(name, room) if room >= _LEAST_NAMED else ""
        style = Style(color="black", bgcolor=colour_of(label, int(flame.hue[frame])))
        line.append(_EDGE + set_cell_size(written, room), style + styles.get(frame, Style.null()))
        at = last
    line.append(" " * (width - at))
    line.rstrip()
    return line
