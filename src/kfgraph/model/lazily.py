"""Sequences whose items are made when they are asked for: what is not looked at costs nothing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar, overload

_T = TypeVar("_T")


class MadeWhenAsked(Sequence[_T], Generic[_T]):
    """A sequence of ``len(self)`` items, of which ``_made`` makes one."""

    @abstractmethod
    def _made(self, at: int) -> _T:
        """Item ``at``, which is from 0 to the length - 1."""

    @overload
    def __getitem__(self, at: int) -> _T: ...
    @overload
    def __getitem__(self, at: slice) -> list[_T]: ...
    def __getitem__(self, at: int | slice) -> _T | list[_T]:
        if isinstance(at, slice):
            return [self._made(i) for i in range(*at.indices(len(self)))]
        if at < 0:
            at += len(self)
        if not 0 <= at < len(self):
            raise IndexError(at)
        return self._made(at)
