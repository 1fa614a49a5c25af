"""What was found out about a machine: checks with their remedies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

OK, LIMITED, MISSING, UNKNOWN = "ok", "limited", "missing", "unknown"
BOTH, NATIVE, GUEST, READER = "both", "native", "guest", "reader"


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    ``area``: what it is needed for, "native", "guest", "both", or "reader". ``state``: "ok"; "limited" (works,
    with less or slower); "missing" (``kfgraph trace`` does not work in this way without it); "unknown" (cannot be
    seen from here). ``found`` is one sentence, ``remedy`` what to type ("" if nothing helps or is needed).
    """

    name: str
    area: str
    state: str
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """All checks in the order of printing."""

    kernel: str
    checks: tuple[Check, ...]

    def works(self, area: str) -> bool:
        """Does tracing work in this way ("native", "guest")?"""
        return self.first_obstacle(area) is None

    def first_obstacle(self, area: str) -> Check | None:
        """The first check that is missing for this way."""
        return next((c for c in self.checks if c.area in (area, BOTH) and c.state == MISSING), None)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "kernel": self.kernel,
            "native": self.works(NATIVE),
            "guest": self.works(GUEST),
            "checks": [asdict(check) for check in self.checks],
        }
