"""Links on a terminal (OSC 8): which terminals open them, and text that is one.

Source: "Hyperlinks (a.k.a. HTML-like anchors) in terminal emulators", the specification that terminals follow.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from rich.style import Style

_VTE_WITH_LINKS = 5000
_PROGRAMS_WITH_LINKS = ("iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "mintty", "rio", "Tabby", "WarpTerminal")
_TERMS_WITH_LINKS = ("xterm-kitty", "xterm-ghostty", "foot", "alacritty", "contour", "wezterm", "rio")


class Linked(str):
    """Text that leads to ``url``, which is printable ASCII ("": nowhere)."""

    url = ""

    @classmethod
    def to(cls, url: str, text: str) -> Linked:
        """``text``, as a link to ``url``."""
        made = cls(text)
        made.url = url
        return made


def link_style(style: str, url: str) -> Style:
    """``style``, with a link to ``url`` ("": without)."""
    return Style.parse(style) + (Style(link=url) if url else Style.null())


def on_a_terminal(text: str) -> str:
    """``text`` as a link, if it is one."""
    if not (isinstance(text, Linked) and text.url):
        return text
    return f"\x1b]8;;{text.url}\x1b\\{text}\x1b]8;;\x1b\\"


def can_link(environment: Mapping[str, str]) -> bool:
    """Whether stdout is a terminal that is known to open links (OSC 8): what others do not know they may print.

    ``FORCE_HYPERLINK`` says so of any terminal (``0``: of none), as other programs have it. tmux and screen hide which
    terminal they are in, and older ones pass nothing on.
    """
    if not os.isatty(1) or environment.get("TERM", "") in ("", "dumb", "linux"):
        return False
    forced = environment.get("FORCE_HYPERLINK", "")
    if forced:
        return forced != "0"
    term, program = environment["TERM"], environment.get("TERM_PROGRAM", "")
    if "TMUX" in environment or term.startswith(("tmux", "screen")):
        return False
    vte = environment.get("VTE_VERSION", "")
    return (
        (vte.isdigit() and int(vte) >= _VTE_WITH_LINKS)
        or program in _PROGRAMS_WITH_LINKS
        or term.startswith(_TERMS_WITH_LINKS)
        or any(environment.get(name) for name in ("WT_SESSION", "KONSOLE_VERSION", "DOMTERM"))
    )
