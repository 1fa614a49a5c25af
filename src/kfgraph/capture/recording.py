"""What comes of a recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kfgraph.capture.plan import with_tuples
from kfgraph.capture.stats import CpuStats
from kfgraph.errors import CaptureError
from kfgraph.model.companion import Companion


@dataclass(frozen=True)
class Recording:
    """What came of it. ``exit_status`` is None without a command, or if it still runs (``still_runs``: its pid), or if
    nobody knows how it ended (``status_unknown``).

    ``killed_by`` is the signal that ended the command, ``warnings`` are sentences for the user, ``n_unprobed`` the
    functions for which there was no probe left, ``buffer_kb`` each CPU's buffer and ``most_buffer_kb`` what the memory
    could have spared for it.
    """

    path: Path
    n_bytes: int
    exit_status: int | None
    interrupted_by: int
    still_runs: int
    recorded_s: float
    stats: tuple[CpuStats, ...]
    partial: str
    companion: Companion
    not_restored: tuple[str, ...] = ()
    killed_by: int = 0
    warnings: tuple[str, ...] = ()
    n_unprobed: int = 0
    buffer_kb: int = 0
    most_buffer_kb: int = 0
    status_unknown: bool = False

    @property
    def status(self) -> int:
        """The exit status that ``kfgraph trace`` passes on."""
        if self.exit_status is not None:
            return self.exit_status
        if self.status_unknown:
            return CaptureError.exit_code
        return 128 + self.interrupted_by if self.interrupted_by else 0

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary without the path, which means nothing in another machine."""
        data = {name: value for name, value in vars(self).items() if name != "path"}
        return {**data, "stats": [asdict(s) for s in self.stats], "companion": self.companion.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, path: Path) -> Recording:
        """Read what ``to_dict`` wrote. Raises KeyError, TypeError or ValueError on anything else."""
        values = {
            **with_tuples(data),
            "stats": tuple(CpuStats(**s) for s in data["stats"]),
            "companion": Companion.from_dict(data["companion"]),
        }
        return cls(path=path, **values)
