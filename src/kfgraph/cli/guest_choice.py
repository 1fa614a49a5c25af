"""The options about a guest as a value; what carries it out is imported only when there is one."""

from __future__ import annotations

from dataclasses import dataclass

from kfgraph.errors import UsageError

DEFAULT_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class GuestChoice:
    """That it is to be a guest: ``kernel`` is an image or a release ("": the newest that can)."""

    kernel: str
    timeout_s: float


def wanted(guest: bool, *, kernel: str | None, timeout_s: float | None) -> GuestChoice | None:
    """What the three options say; None: not in a guest.

    Raises:
        UsageError: a time without a guest, or one that is none.
    """
    if not guest and kernel is None:
        if timeout_s is not None:
            raise UsageError("--guest-timeout is for a guest", hint="add --guest")
        return None
    if timeout_s is not None and timeout_s <= 0:
        raise UsageError("--guest-timeout: a number of seconds above 0", hint="--guest-timeout 600")
    if kernel is not None and not kernel.strip():
        raise UsageError("--guest-kernel: the name is empty", hint="--guest takes the newest; --guest-kernel list")
    return GuestChoice(kernel or "", timeout_s or DEFAULT_TIMEOUT_S)
