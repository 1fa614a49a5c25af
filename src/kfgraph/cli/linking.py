"""Links to the source of functions, as the options ask for them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from kfgraph.cli.messages import say
from kfgraph.cli.options import Linking
from kfgraph.errors import notice

if TYPE_CHECKING:
    from kfgraph.analyze.callsites import CallSites
    from kfgraph.analyze.sourcelinks import SourceLinks
    from kfgraph.kernel.sourcelines import SourceLine
    from kfgraph.model.trace import Trace

NONE_KNOWN: Mapping[tuple[str, str], SourceLine] = MappingProxyType({})


def links(
    trace: Trace, linking: Linking, *, local: bool = True, known: Mapping[tuple[str, str], SourceLine] = NONE_KNOWN
) -> SourceLinks | None:
    """The links for a page or a panel; None: none are wanted. ``local``: files may be named; ``known``: see there."""
    templates = linking.link or _of_environment()
    if linking.no_links or templates == [""]:
        return None
    from kfgraph.analyze.sourcelinks import SourceLinks

    return SourceLinks(
        trace, templates=templates, debug_info=linking.debuginfo or (), trees=linking.source or (), local=local,
        known=known,
    )  # fmt: skip


def call_sites(
    trace: Trace, linking: Linking, *, json: bool, merged: bool, beside: Collection[str]
) -> CallSites | None:
    """File and line of the calls of a tree, as ``--debuginfo`` tells them; None where they are not asked for.

    Raises:
        InputError: a file is not there, has no debug info, or is another kernel's.
    """
    if not linking.debuginfo:
        return None
    if merged if json else "site" not in beside:
        if other := "--merge" if json else "--no-links" if linking.no_links else "":
            say(notice("no-effect", options="--debuginfo", verb="does", beside=other).text)
        return None
    from kfgraph.analyze.callsites import CallSites

    if not CallSites.recorded(trace.calls):
        say(notice("no-call-sites").text)
    return CallSites.told(trace, linking.debuginfo)


def links_on_terminal(
    trace: Trace, linking: Linking, *, known: Mapping[tuple[str, str], SourceLine] = NONE_KNOWN, used: bool = False
) -> SourceLinks | None:
    """The links for stdout; None where that is no terminal that opens them. ``used``: debug info is for more."""
    from kfgraph.render.linked import can_link

    if can_link(os.environ):
        return links(trace, linking, known=known)
    asked = [f"--{name}" for name in ("source", "debuginfo", "link") if getattr(linking, name)]
    asked = [option for option in asked if not (used and option == "--debuginfo")]
    if asked and not linking.no_links:
        unable = "this terminal is not known to open them (FORCE_HYPERLINK=1 says that it does)"
        say(f"{', '.join(asked)}: no links, {unable if os.isatty(1) else 'stdout is not a terminal'}")
    return None


def _of_environment() -> list[str]:
    """``KFGRAPH_LINK``: templates with blanks between; set to nothing, there are no links."""
    given = os.environ.get("KFGRAPH_LINK")
    return [] if given is None else given.split() or [""]
