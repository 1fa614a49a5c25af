"""Where a module that is gone lay: its file's functions fitted to the addresses that a trace has no names for.

A region (the module's code, or the part that is given back after its init) begins on a page. A page is accepted if
every unknown address in the region, laid there, is a place that ftrace can patch, and if it is the only such page.
A name that is not proved so is not given.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kfgraph.kernel.module import BEFORE_ENTRY, Module, Text

PAGE = 4096
_MOST_ADDRESSES = 100_000
_FAR = 1 << 62


@dataclass(frozen=True)
class Region:
    """Sections that the loader lays out together; ``sites`` maps a place in the region to its function, ``extents`` to
    where that begins and ends."""

    module: str
    init: bool
    size: int
    sites: Mapping[int, str]
    extents: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, module: Module, *, init: bool) -> Region:
        """The region of the module's code, or of what is given back after its init."""
        texts: Sequence[Text] = [text for text in module.texts if text.init == init]
        sites = {text.offset + place: name for text in texts for place, name in text.sites}
        extents = {}
        for text in texts:
            begins = sorted((f.offset, f.offset + f.size) for f in module.image.functions if f.section == text.name)
            for place, _ in text.sites:
                # The place is in the function's first bytes or, on arm64, right before them.
                after = bisect_right(begins, (place, _FAR))
                near = [one for one in begins[max(0, after - 1) : after + 1] if abs(one[0] - place) <= BEFORE_ENTRY]
                if near:
                    extents[text.offset + place] = (text.offset + near[0][0], text.offset + near[0][1])
        size = max((text.offset + text.size for text in texts), default=0)
        return cls(module.image.name, init, size, sites, extents)


@dataclass(frozen=True)
class Fit:
    """A region at ``base``: the addresses of the trace that it names."""

    region: Region
    base: int
    names: Mapping[int, str]


def fit(
    modules: Iterable[Module],
    unknown: Sequence[int],
    *,
    inits: Iterable[int] = (),
    callers: Mapping[int, frozenset[int]] | None = None,
    by_loader: Iterable[int] = (),
) -> list[Fit]:
    """The regions of ``modules`` whose place is proved by ``unknown``, the addresses without a name.

    ``inits`` are unknown addresses that are init functions for another reason (do_one_initcall called them).
    ``callers`` tells for an unknown address by which unknown addresses it was called, at any depth. ``by_loader`` are
    unknown addresses that the loader called: they are functions of the module that was loaded.

    A region that only one address speaks for is accepted if that is an init function that was called as one, or was
    called from a region that is accepted, or if the loader called it and there is one module only. Two regions that
    claim one address are both refused.
    """
    addresses = sorted(set(unknown))[:_MOST_ADDRESSES]
    known_inits = frozenset(inits)
    calls = callers or {}
    sure: list[Fit] = []
    single: list[Fit] = []
    modules = list(modules)
    loaded = frozenset(by_loader) if len(modules) == 1 else frozenset()
    for module in modules:
        its_init = set[int]()
        for init in (True, False):
            region = Region.of(module, init=init)
            # What its init functions are, the others are not.
            found = [f for f in _pages(region, addresses) if its_init.isdisjoint(f.names)]
            if init:
                # Who sets parameters does not call the init function.
                found = [f for f in found if all(f.names[a] != module.init for a in loaded.intersection(f.names))]
                # The function that the loader calls decides, if one of the pages has it there.
                called = [f for f in found if any(a in known_inits and f.names[a] == module.init for a in f.names)]
                if len(called) == 1:
                    its_init = set(called[0].names)
                    sure.append(called[0])
                    continue
            if len(found) != 1:
                continue
            proved = len(found[0].names) > 1 or not loaded.isdisjoint(found[0].names)
            (sure if proved else single).append(found[0])
    while True:
        named = {a for one in sure for a in one.names}
        also = [one for one in single if any(calls.get(a, frozenset()) & named for a in one.names)]
        if not also:
            break
        sure += also
        single = [one for one in single if one not in also]
    claimed: dict[int, int] = {}
    for one in sure:
        for address in one.names:
            claimed[address] = claimed.get(address, 0) + 1
    return [one for one in sure if all(claimed[a] == 1 for a in one.names)]


def _pages(region: Region, addresses: Sequence[int]) -> list[Fit]:
    """Every page on which all unknown addresses inside the region are places that ftrace can patch."""
    if not region.sites:
        return []
    bases = set[int]()
    for address in addresses:
        for place in region.sites:
            if (address - place) % PAGE == 0 and address >= place:
                bases.add(address - place)
    found = []
    for base in sorted(bases):
        first, last = bisect_left(addresses, base), bisect_left(addresses, base + max(region.size, 1))
        inside = addresses[first:last]
        if inside and all(address - base in region.sites for address in inside):
            found.append(Fit(region, base, {a: region.sites[a - base] for a in inside}))
    return found
