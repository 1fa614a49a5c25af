"""The kernel images of a machine, and what each can give as a guest."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from kfgraph.kernel.images import KernelImage
from kfgraph.render.wrapping import NARROW, hanging, wrapped

_TITLES = ("graph", "args", "retval", "probes")


class KernelsView:
    """Renderable: a table, or where that is too wide one block for each image."""

    def __init__(self, images: Sequence[KernelImage]) -> None:
        self._images = images

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Newest first, as they come."""
        longest = max([len(str(image.path)) for image in self._images] + [len("image")])
        beside = longest + 2 + sum(len(title) + 2 for title in _TITLES)
        if options.max_width - beside < NARROW:
            yield from self._blocks(options.max_width)
            return
        titles = "".join(f"{title}  " for title in _TITLES)
        yield Text(f"{'image':<{longest}}  {titles}as a guest", style="bold")
        for image in self._images:
            words = zip(_offers(image), _TITLES, strict=True)
            cells = "".join(f"{word:<{len(title)}}  " for word, title in words)
            head = [Text(f"{image.path!s:<{longest}}  {cells}")]
            yield from hanging(head, [(_as_guest(image), "")], width=options.max_width, below=4)

    def _blocks(self, width: int) -> RenderResult:
        for image in self._images:
            yield Text(str(image.path), style="bold", no_wrap=True, overflow="ignore")
            offers = ", ".join(f"{title} {word}" for title, word in zip(_TITLES, _offers(image), strict=True))
            for text in (offers, f"as a guest: {_as_guest(image)}"):
                lines = wrapped(text, width - 2, commands=True)
                yield from (Text(f"  {line}", no_wrap=True, overflow="ignore") for line in lines)


def _offers(image: KernelImage) -> list[str]:
    has = (image.graph, image.args, image.retval, image.probes)
    return ["?" if answer is None else "yes" if answer else "no" for answer in has]


def _as_guest(image: KernelImage) -> str:
    obstacles = "; ".join(f"{reason} ({remedy})" for reason, remedy in image.obstacles())
    return f"no: {obstacles}" if obstacles else "yes"
