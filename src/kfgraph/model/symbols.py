"""Function codes and what they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kfgraph.model.returned import Returned

__all__ = ["UNKNOWN", "Prototypes", "Returned", "SymbolTable"]

UNKNOWN = 0
"""The code of a call whose function the trace does not tell."""


class Prototypes(Protocol):
    """Who knows what functions return."""

    def returned(self, code: int) -> Returned | None:
        """By function code; None where it is not known."""


@dataclass(frozen=True, eq=False, repr=False)
class SymbolTable:
    """Code -> (name, module, address). Code 0 is the unknown function, its name is "".

    ``names[c]`` is the function's name as the trace gives it, or the address in hex
    (``0xffffffffc0b08014``) where no symbol is known; ``modules[c]`` is "" for the core kernel.
    ``resolved[c]`` is False for code 0 and for addresses. ``addresses`` (uint64, 0 = not recorded)
    holds the function's entry where the trace has it. ``prototypes`` are there where it describes the
    kernel's functions (BTF), and are read when they are asked for.
    """

    names: tuple[str, ...]
    modules: tuple[str, ...]
    resolved: npt.NDArray[np.bool_]
    addresses: npt.NDArray[np.uint64]
    prototypes: Prototypes | None = field(default=None, repr=False, compare=False)

    @classmethod
    def build(
        cls,
        names: Sequence[str],
        *,
        modules: Sequence[str] | None = None,
        resolved: Sequence[bool] | npt.NDArray[np.bool_] | None = None,
        addresses: Sequence[int] | npt.NDArray[np.uint64] | None = None,
    ) -> SymbolTable:
        """A table of ``names`` (names[0] must be ""), the rest filled with what is most likely."""
        n = len(names)
        if not n or names[0]:
            raise ValueError("code 0 is the unknown function: names[0] must be ''")
        known = np.array([bool(name) and not name.startswith("0x") for name in names], dtype=np.bool_)
        return cls(
            tuple(names),
            tuple(modules) if modules is not None else ("",) * n,
            known if resolved is None else np.asarray(resolved, dtype=np.bool_),
            np.zeros(n, dtype=np.uint64) if addresses is None else np.asarray(addresses, dtype=np.uint64),
        )

    def __len__(self) -> int:
        return len(self.names)

    def label(self, code: int) -> str:
        """``name``, ``name [module]``, an address, or ``?`` for the unknown function."""
        if code == UNKNOWN:
            return "?"
        module = self.modules[code]
        return f"{self.names[code]} [{module}]" if module else self.names[code]

    def returned(self, code: int) -> Returned | None:
        """What the function returns, None where the trace does not tell."""
        return None if self.prototypes is None else self.prototypes.returned(code)

    def returns(self, code: int) -> str:
        """The C type that the function returns, "" where the trace does not tell."""
        returned = self.returned(code)
        return "" if returned is None else returned.c_type

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """``label`` of every code, in order."""
        return tuple(self.label(code) for code in range(len(self.names)))

    def with_names(self, found: Mapping[int, tuple[str, str]]) -> SymbolTable:
        """The same table with (name, module) of ``found`` for the addresses without a name that it tells."""
        names, modules, resolved = list(self.names), list(self.modules), self.resolved.copy()
        for code in np.flatnonzero(~resolved).tolist():
            name = found.get(int(self.addresses[code]))
            if code != UNKNOWN and name:
                names[code], modules[code] = name
                resolved[code] = True
        return replace(self, names=tuple(names), modules=tuple(modules), resolved=resolved)

    def codes_where(self, matches: Iterable[bool]) -> npt.NDArray[np.int32]:
        """The codes for which ``matches`` (one per code, in order) is true."""
        return np.flatnonzero(np.fromiter(matches, dtype=np.bool_, count=len(self.names))).astype(np.int32)
