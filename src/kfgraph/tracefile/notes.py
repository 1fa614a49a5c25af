"""What was damaged or missing, gathered: one notice of a kind, which counts and shows the first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kfgraph.errors import Notice
from kfgraph.tracefile.source import Damage

_KINDS = {
    "cut-file": ("place where the file ends early", "places where the file ends early"),
    "options": (
        "list of the file's parts cannot be read to its end",
        "lists of the file's parts cannot be read to their ends",
    ),
    "buffer": ("trace buffer cannot be read", "trace buffers cannot be read"),
    "cpu": ("CPU's data is not where the file says", "CPUs' data is not where the file says"),
    "leftover-unread": ("file that the recorder left cannot be read", "files that the recorder left cannot be read"),
    "damaged-section": (
        "part that describes the records cannot be read",
        "parts that describe the records cannot be read",
    ),
    "damaged-clock": (
        "option of the clock cannot be read, so times are as recorded",
        "options of the clock cannot be read, so times are as recorded",
    ),
    "damaged-chunk": ("chunk of trace data makes no sense", "chunks of trace data make no sense"),
    "damaged-pages": ("page of trace data makes no sense", "pages of trace data make no sense"),
    "clock-back": (
        "record is before the one before it on its CPU, so an entry before its caller's has no time",
        "records are before those before them on their CPU, so entries before their callers' have no time",
    ),
    "unknown-event": (
        "event is of a type that the file does not describe",
        "events are of types that the file does not describe",
    ),
}
"""Of one, and of several: a count stands in front."""


class Notes:
    """Notices by code, in the order in which the first of each kind came."""

    def __init__(self, notices: Iterable[Notice] = ()) -> None:
        self._notices = {notice.code: notice for notice in notices}

    def add(self, code: str, what: str, *, offset: int = -1, n: int = 1) -> None:
        """``n`` more of a kind; ``what`` and where the first of them is."""
        known = self._notices.get(code)
        if known is not None:
            self._notices[code] = replace(known, n=known.n + n)
            return
        where = f" (at byte {offset})" if offset >= 0 else ""
        details = {"offset": offset} if offset >= 0 else {}
        one, many = _KINDS[code]
        text = f"{many}, the first: {what}{where}"
        self._notices[code] = Notice(code, text, n, details=details, one=f"{one}: {what}{where}")

    def damage(self, code: str, damage: Damage, *, part: str = "", n: int = 1) -> None:
        """The same of a damage, which is ``part``'s."""
        self.add(code, f"{part}: {damage.what}" if part else damage.what, offset=damage.offset, n=n)

    def say(self, notice: Notice) -> None:
        """A notice in words of its own; one of its kind is enough."""
        self._notices.setdefault(notice.code, notice)

    def merge(self, notices: Iterable[Notice]) -> None:
        """What another has gathered."""
        for notice in notices:
            known = self._notices.get(notice.code)
            if known is not None:
                notice = replace(known, n=known.n + notice.n)
            self._notices[notice.code] = notice

    def all(self) -> tuple[Notice, ...]:
        """Every kind."""
        return tuple(self._notices.values())
