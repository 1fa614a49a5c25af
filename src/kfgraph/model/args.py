"""Arguments of calls, where a trace recorded them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Args(Protocol):
    """Row -> arguments. Rows are those of the CallTable that holds it."""

    def text(self, row: int) -> str | None:
        """``lock=0xffff..., flags=0``, as the tracer prints them; None where none were recorded."""

    def word(self, row: int, place: int, value: int) -> str:
        """What the type of the argument at ``place`` calls this value; "" where there is no word, or no type."""


@dataclass(frozen=True, eq=False, repr=False)
class TextArgs:
    """Arguments read from a text: ``index[row]`` is a position in ``texts``, -1 for none."""

    index: npt.NDArray[np.int32]
    texts: Sequence[str]

    def text(self, row: int) -> str | None:
        """The text as it stood in the input."""
        at = int(self.index[row])
        return None if at < 0 else self.texts[at]

    def word(self, row: int, place: int, value: int) -> str:
        """None: the tracer printed numbers, and no types."""
        return ""


class Describes(Protocol):
    """Who makes text of registers: names and types come from BTF where there is some."""

    def __call__(self, func: int, values: Sequence[int]) -> str:
        """``name=value, ...`` of the arguments of the function of this code."""

    def word(self, func: int, place: int, value: int) -> str:
        """See :meth:`Args.word`."""


@dataclass(frozen=True, eq=False, repr=False)
class RawArgs:
    """Raw register values: call ``row`` has ``count[row]`` of them at ``values[offset[row]:]``."""

    func: npt.NDArray[np.int32]
    offset: npt.NDArray[np.int32]
    count: npt.NDArray[np.uint8]
    values: npt.NDArray[np.uint64]
    describe: Describes

    def text(self, row: int) -> str | None:
        """The registers as ``describe`` words them."""
        registers = self.registers(row)
        return self.describe(int(self.func[row]), registers) if registers else None

    def registers(self, row: int) -> list[int]:
        """What was recorded of the call, in the order of the calling convention."""
        at = int(self.offset[row])
        return [int(v) for v in self.values[at : at + int(self.count[row])]]

    def word(self, row: int, place: int, value: int) -> str:
        """By the function's prototype."""
        return self.describe.word(int(self.func[row]), place, value)
