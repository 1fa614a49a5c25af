"""What the calls of a trace returned, asked one by one: is it an error, NULL, false, or not recorded?"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import numpy as np

from kfgraph.analyze.retval import DECIMAL, errors_of, returned_type, value_text, values_of
from kfgraph.kernel import unwinding
from kfgraph.model.calls import UNKNOWN_CONTEXT, Flag
from kfgraph.model.spelling import plain_name
from kfgraph.model.symbols import Returned
from kfgraph.model.trace import Trace

NOTIFY_STOP_MASK = 0x8000
EPERM, ENOMEM, EACCES = 1, 12, 13
_HAS_RETVAL = int(Flag.HAS_RETVAL)  # asked of each call: an operation on an enum takes ten times as long


class Kind(Enum):
    """What a callee's return says about its caller's error."""

    SAME = "the same error"
    OTHER = "another error"
    NULL = "NULL"
    FALSE = "false"
    FINE = "no error"
    IDLE = "nothing to do with it"
    UNKNOWN = "not recorded"


def recorded_by_the_tracer(trace: Trace) -> bool:
    """Whether the tracer recorded return values, of all calls: not return probes, of a few functions."""
    calls = trace.calls
    if calls.retval is None or trace.companion is not None:
        return calls.retval is not None and trace.companion is not None and not trace.companion.probes
    return bool(2 * int(calls.has(Flag.HAS_RETVAL).sum()) > len(calls))


@dataclass
class Outcomes:
    """What the calls of a trace returned, asked one by one."""

    trace: Trace
    _of_type: dict[int, tuple[bool, bool, bool]] = field(default_factory=dict)

    @cached_property
    def errors(self) -> np.ndarray:
        """The error that each call returned, see :func:`kfgraph.analyze.retval.errors_of`; 0 for none."""
        calls, names = self.trace.calls, self.trace.symbols.names
        codes = errors_of(calls, self.trace.symbols).codes
        if calls.retval is None:
            return codes
        # A notifier's answer: NOTIFY_STOP_MASK and NOTIFY_OK (1) less the error (include/linux/notifier.h).
        rows = np.flatnonzero(calls.has(Flag.HAS_RETVAL) & (calls.retval & 0xFFFF8000 == NOTIFY_STOP_MASK))
        if not len(rows):
            return codes
        answers = (1 - (calls.retval[rows] & 0x7FFF)).astype(codes.dtype)
        calls_chain = np.array(["notifier_call_chain" in name for name in names], np.bool_)
        parents = calls.parent[rows]
        of_chain = calls_chain[calls.func[rows]] | ((parents >= 0) & calls_chain[calls.func[parents]])
        # One that is called without a chain: its caller returned the error in it or, unrecorded, its callee did.
        alone = (answers < 0) & (calls.retval[rows] >> 32 == 0)
        handed = alone & (parents >= 0) & (codes[parents] == answers)
        failed = np.flatnonzero(codes)
        at = np.minimum(np.searchsorted(rows, calls.parent[failed]), len(rows) - 1)
        at = at[(rows[at] == calls.parent[failed]) & (answers[at] == codes[failed])]
        unrecorded = (parents < 0) | ~calls.has(Flag.HAS_RETVAL)[parents]
        told = of_chain | handed
        told[at] |= alone[at] & unrecorded[at]
        codes = codes.copy()
        codes[rows[told]] = answers[told]
        return codes

    def known(self, row: int) -> bool:
        """Whether the return value of this call was recorded."""
        calls = self.trace.calls
        return calls.retval is not None and bool(int(calls.flags[row]) & _HAS_RETVAL)

    def raw(self, row: int) -> int:
        """The register, 64 bits unsigned."""
        calls = self.trace.calls
        return int(calls.retval[row]) & (1 << 64) - 1 if calls.retval is not None else 0

    def returns(self, row: int) -> tuple[bool, bool, bool]:
        """(can it fail by its type, is it a pointer, is it a bool); a type that is not known can fail."""
        func = int(self.trace.calls.func[row])
        if func not in self._of_type:
            told = returned_type(self.trace.symbols, func)
            if told is None:
                self._of_type[func] = (True, False, False)
            else:
                self._of_type[func] = (told.can_fail, told.kind == "pointer", told.kind == "bool")
        return self._of_type[func]

    def typed(self, row: int) -> bool:
        """Whether it is known what the function returns."""
        return self._type(row) is not None

    def _type(self, row: int) -> Returned | None:
        return returned_type(self.trace.symbols, int(self.trace.calls.func[row]))

    def may_be_false(self, row: int) -> bool:
        """Whether an untyped register may hold false: the lowest byte is 0, what stands above it is not cleared."""
        return not self.typed(row) and not self.raw(row) & 0xFF

    def is_narrow(self, row: int) -> bool:
        """Whether the register holds neither a number of 32 or 64 bits nor an address: a byte, and what was left above
        it. A function that returns nothing leaves the like."""
        upper = self.raw(row) >> 32
        return upper not in (0, 0xFFFFFFFF) and upper >> 16 != 0xFFFF

    def name(self, row: int) -> str:
        """The function's name, as the trace has it."""
        return self.trace.symbols.names[int(self.trace.calls.func[row])]

    def plain(self, row: int) -> str:
        """The function's name as a person knows it, without what the compiler appended; "?" where it has none."""
        return plain_name(self.name(row)) or "?"

    def value_text(self, row: int) -> str:
        """The return value as text: the number of an error, NULL, false, a number, "a pointer".

        "?" where it was not recorded; "" where the function returns nothing, or where the value may be an address.
        """
        if not self.known(row):
            return "?"
        returned = self._type(row)
        values, has_value = values_of(self.trace.calls, self.trace.symbols, np.array([row]))
        if not has_value[0]:
            return ""
        error, value = int(self.errors[row]), int(values[0])
        if error:
            return str(error)
        if abs(value) >= DECIMAL and (returned is None or returned.kind == "pointer"):
            return "a pointer" if returned is not None else ""
        return value_text(value, returned)

    def kind(self, row: int, error: int) -> Kind:
        """What this callee's return means for a caller that returned ``error``."""
        name, told = self.name(row), self._type(row)
        # flush_work tells whether there was something to wait for.
        if unwinding.decides_nothing(name) or (told is not None and told.kind == "bool" and unwinding.waits(name)):
            return Kind.IDLE
        if not self.known(row):
            nothing = told is not None and told.kind == "void"
            # Too little memory is all that an allocator says.
            nothing = nothing or (error not in (0, -ENOMEM) and unwinding.allocates_memory(name))
            return Kind.IDLE if nothing or unwinding.gives_back(name) else Kind.UNKNOWN
        can_fail, pointer, is_bool = self.returns(row)
        code = int(self.errors[row])
        if code and can_fail:
            return Kind.SAME if code == error else Kind.OTHER
        if "notifier_call_chain" in name:
            return Kind.IDLE  # it told of something, and nobody refused
        if is_bool or (not self.typed(row) and unwinding.asks(name)):
            return Kind.FALSE if not self.raw(row) & 0xFF else Kind.FINE
        if not self.raw(row) and (pointer or (not self.typed(row) and unwinding.allocates(name))):
            return Kind.NULL
        return Kind.FINE if can_fail else Kind.IDLE


def children_of(trace: Trace, row: int) -> list[int]:
    """The direct callees of ``row`` that are its own: not those of an interrupt that hit it."""
    calls = trace.calls
    first, end = row + 1, int(calls.end[row])
    rows = np.flatnonzero(calls.parent[first:end] == row) + first
    own = int(calls.context[row])
    if own != UNKNOWN_CONTEXT:
        rows = rows[calls.context[rows] == own]
    hit = (calls.flags[rows] & np.uint32(Flag.INTERRUPT)) != 0
    return [int(row) for row in rows[~hit]]
