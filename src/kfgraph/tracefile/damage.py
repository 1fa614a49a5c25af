"""What was damaged or missing, gathered: one notice of a kind, which counts and shows the first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kfgraph.errors import Notice, notice
from kfgraph.tracefile.source import Damage


class Notes:
    """Notices by code, in the order in which the first of each kind came."""

    def __init__(self, notices: Iterable[Notice] = ()) -> None:
        self._notices = {known.code: known for known in notices}

    def add(self, code: str, what: str, *, offset: int = -1, n: int = 1) -> None:
        """``n`` more of a kind; ``what`` and where the first of them is."""
        known = self._notices.get(code)
        if known is not None:
            self._notices[code] = replace(known, n=known.n + n)
            return
        where = f" (at byte {offset})" if offset >= 0 else ""
        details = {"offset": offset} if offset >= 0 else {}
        self._notices[code] = notice(code, n, details=details, first=f"{what}{where}")

    def damage(self, code: str, damage: Damage, *, part: str = "", n: int = 1) -> None:
        """The same of a damage, which is ``part``'s."""
        self.add(code, f"{part}: {damage.what}" if part else damage.what, offset=damage.offset, n=n)

    def say(self, said: Notice) -> None:
        """A notice in words of its own; one of its kind is enough."""
        self._notices.setdefault(said.code, said)

    def merge(self, notices: Iterable[Notice]) -> None:
        """What another has gathered."""
        for more in notices:
            known = self._notices.get(more.code)
            self._notices[more.code] = more if known is None else replace(known, n=known.n + more.n)

    def all(self) -> tuple[Notice, ...]:
        """Every kind."""
        return tuple(self._notices.values())
