"""Fields of events as columns: numbers as arrays, strings and arrays of any length as sequences made when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kfgraph.model.lazily import MadeWhenAsked

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Column = tuple[Any, npt.NDArray[np.bool_]]
"""(values, known): see :class:`EventField`."""


@dataclass(frozen=True, eq=False, repr=False)
class EventField:
    """One field of one event, a row per mark of that event, in time order.

    ``rows[i]`` is the mark that row i is of: an index into Marks. ``values`` is one of

    - an array of shape (n,): a number. Its dtype has the size and the sign that the event's format gives, in the byte
      order of this machine;
    - an array of shape (n, k): a field that is an array of k numbers (of bytes, where it is a structure);
    - a Sequence of str: characters, up to the first NUL; bytes that are no UTF-8 are spelt ``\\xff``;
    - a Sequence of arrays: a field that is an array of another length in each record.

    Units are those of the kernel; nothing is converted. ``known[i]`` is False where a record does not hold the field;
    its value is 0, "" or empty then.
    """

    rows: Int32
    values: Any
    known: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def is_number(self) -> bool:
        """Whether ``values`` is an array of one number a row."""
        return isinstance(self.values, np.ndarray) and self.values.ndim == 1


class FieldSource(Protocol):
    """What makes the columns: a reader's. ``code`` is an index into ``Marks.names``."""

    def names(self, code: int) -> tuple[str, ...]:
        """The fields of this event, in the order of its format."""

    def columns(self, code: int, rows: Int32, names: Sequence[str]) -> list[Column | None]:
        """These fields of the marks ``rows``, which are of this event and ascend; None for what it does not have."""


class Pieces:
    """Piece i is ``data[ends[i - 1]:ends[i]]``, ``ends`` ascending."""

    def __init__(self, data: Bytes, ends: Int64) -> None:
        self._data = data
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def _piece(self, at: int) -> Bytes:
        return self._data[self._ends[at - 1] if at else 0 : self._ends[at]]


class Strings(Pieces, MadeWhenAsked[str]):
    """String i is piece i up to the first NUL."""

    def _made(self, at: int) -> str:
        return self._piece(at).tobytes().partition(b"\0")[0].decode("utf-8", "backslashreplace")


class Arrays(Pieces, MadeWhenAsked[npt.NDArray[Any]]):
    """Array i is piece i as numbers of ``dtype``; a rest that is less than a number is left out."""

    def __init__(self, data: Bytes, ends: Int64, dtype: np.dtype[Any]) -> None:
        super().__init__(data, ends)
        self._dtype = dtype

    def _made(self, at: int) -> npt.NDArray[Any]:
        piece = self._piece(at)
        whole = piece[: len(piece) // self._dtype.itemsize * self._dtype.itemsize]
        return np.frombuffer(whole.tobytes(), self._dtype).astype(self._dtype.newbyteorder("="))


def joined(parts: Sequence[tuple[Int32, Column]]) -> EventField:
    """The columns of several events of one name as one, in time order."""
    if len(parts) == 1:
        rows, (values, known) = parts[0]
        return EventField(rows, values, known)
    rows = np.concatenate([part for part, _ in parts])
    order = np.argsort(rows, kind="stable")
    known = np.concatenate([known for _, (_, known) in parts])[order]
    return EventField(rows[order], _joined_values([values for _, (values, _) in parts], order), known)


def _joined_values(values: Sequence[Any], order: npt.NDArray[np.intp]) -> Any:
    arrays = [each for each in values if isinstance(each, np.ndarray)]
    if len(arrays) == len(values) and len({each.shape[1:] for each in arrays}) == 1:
        dtype = np.result_type(*arrays)
        if dtype.kind in "iub":
            return np.concatenate(arrays)[order]
    every = list(_each(values))
    return [every[i] for i in order.tolist()]


def _each(values: Sequence[Any]) -> Iterator[Any]:
    for part in values:
        yield from part.tolist() if isinstance(part, np.ndarray) and part.ndim == 1 else part
