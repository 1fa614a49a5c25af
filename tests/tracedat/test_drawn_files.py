"""Drawn files: layouts of several kernels, clocks and their corrections, events with fields of every type, symbols side
by side, damaged words. What is read of each is recorded."""

from __future__ import annotations

import random
from pathlib import Path

import recorded
from builder.tracedat import Cpu, Extra, Kernel, trace_dat
from described import codes, described
from kfgraph.errors import InputError
from kfgraph.parse.tracedat import read, records

PLACES = (0xC0000000, 0xC0001000, 0xFFFFFFFF81000000, 0xFFFFFFFFC0000000)
STEPS = (0, 1, 1, 2, 100, 4_999, 70_000, (1 << 27) - 1, 1 << 27, (1 << 27) + 5, 1 << 33)
NUMBERS = (0, 1, 127, 128, 255, 0xFFEA, 0x7FFF, 0x8000, 0x7FFFFFFF, 0xFFFFFFED, (1 << 40) - 1, 1 << 40, (1 << 64) - 22)
TYPES = (
    ("int", "n", 4), ("unsigned int", "u", 4), ("unsigned long", "l", 0), ("char", "c", 1), ("u8", "b", 1),
    ("unsigned short", "s", 2), ("s64", "q", 8), ("void *", "p", 0), ("pid_t", "pid", 0), ("bool", "yes", 1),
    ("char", "text[8]", 8), ("u8", "raw[6]", 6), ("unsigned long", "longs[2]", 0), ("int", "ints[3]", 12),
    ("__data_loc char[]", "name", 4), ("__data_loc u8[]", "bytes", 4), ("__rel_loc char[]", "near", 4),
    ("__data_loc cpumask_t", "mask", 4), ("__data_loc unsigned long[]", "many", 4), ("unsigned char", "odd", 3),
    ("char", "rest[]", 0), ("__le16", "le[2]", 4), ("long", "code", 0), ("unsigned long long", "ll", 8),
)  # fmt: skip
Fields = list[tuple[str, str, int]]


class Drawn:
    """One file: ``data``, and what may be damaged in it."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.kernel = kernel = Kernel(
            big_endian=rng.random() < 0.3, long_size=rng.choice((8, 8, 4)), page_size=rng.choice((512, 1024, 4096)),
            depth_size=rng.choice((4, 4, 8)), retval=rng.random() < 0.5, args=rng.random() < 0.4,
            old_exit=rng.random() < 0.1,
        )  # fmt: skip
        self.events = [("some", f"event_{i}", 300 + i, self.fields()) for i in range(3)]
        self.mask = (1 << 8 * kernel.long_size) - 1
        self.places = [place & self.mask for place in PLACES]
        self.now, self.cpus = rng.choice((1_000, 1 << 40)), [Cpu(kernel, number) for number in (0, 1, 3)]
        self.open: list[tuple[int, int, int]] = []
        for _ in range(rng.choice((4, 20, 60, 60, 60, 60, 300))):
            self.record(rng.choice(self.cpus))
        clock = rng.choice(("local", "local", "global", "x86-tsc", "mono", "counter", "uptime"))
        extra = Extra(
            comms={7: "a", 8: "b b"}, events=self.events, options=self.options(), clock=clock,
            sections={25: self.modules()} if rng.random() < 0.5 else {},
            buffers={"second": self.cpus[:1]} if rng.random() < 0.2 else {},
        )  # fmt: skip
        version, packing = rng.choice(((6, "none"), (7, "none"), (7, "none"), (7, "zlib"), (7, "zstd")))
        cpus = [cpu for cpu in self.cpus if cpu.pages()]
        whole = trace_dat(kernel, cpus, symbols=self.symbols(), extra=extra, version=version, compression=packing)
        self.data = bytearray(whole)
        while rng.random() < 0.4:
            at = rng.randrange(len(whole) // 4 * 3, len(whole)) & ~3
            self.data[at : at + 4] = kernel.pack("I", rng.choice((0, 1, 29, 30 << 27, 0xFFFFFFFF, rng.getrandbits(32))))

    def fields(self) -> Fields:
        chosen = [field for field in TYPES if self.rng.random() < 0.4]
        return [
            (kind, name, size or (0 if name == "rest[]" else self.kernel.long_size * (2 if "[2]" in name else 1)))
            for kind, name, size in chosen
        ]

    def at(self) -> int:
        """An address in or beside a symbol."""
        return self.rng.choice(self.places) + self.rng.choice((0, 0, 0x10, 0x40, 0x41, 0xFF0, 0xFFF))

    def symbols(self) -> dict[int, tuple[str, str, str]]:
        rng, found = self.rng, dict[int, tuple[str, str, str]]()
        for place in sorted({*self.places}):
            for step in sorted(rng.choice((0, 0x10, 0x40, 0x800, 0x1000, 0x1800)) for _ in range(4)):
                name = rng.choice(("f", "g", "h", "$x", "_text", "a.part.0")) + str(len(found))
                owner = rng.choice(("", "", "mod", "bpf", "__builtin__ftrace"))
                found[place + step] = (rng.choice("tTTTtwWdDaA"), name, owner)
        return dict(sorted(found.items()))

    def modules(self) -> bytes:
        return f"mod {self.rng.choice((16, 4096, 8192))} 0 - Live 0x{self.rng.choice(self.places):x}\nx y\n".encode()

    def options(self) -> list[tuple[int, bytes]]:
        rng, k, found = self.rng, self.kernel, list[tuple[int, bytes]]()
        if rng.random() < 0.2:
            found.append((7, rng.choice((b"-500\0", b"0x10\0", b"077 x\0", b"12\n\0", b"z\0"))))
        if rng.random() < 0.2:
            found.append((14, k.pack("IIQ", rng.choice((1, 3, 1 << 31)), rng.choice((0, 1, 31, 32, 33)), 0)))
        if rng.random() < 0.3:
            n = rng.choice((1, 2, 4))
            samples = k.pack("QII", 1, rng.choice((0, 1)), 2)
            for _ in range(2):
                times = [self.now // n * i + 5 for i in range(n)]
                offsets = [rng.choice((0, 500, 1 << 20, (1 << 64) - 500, (1 << 64) - 1)) for _ in times]
                scale = rng.choice((1, 1, 3))
                samples += k.pack("I", n) + k.pack(f"{3 * n}Q", *times, *offsets, *[scale] * n)
            fractions = k.pack(f"{2 * n}Q", *[rng.choice((0, 1))] * 2 * n) if rng.random() < 0.5 else b""
            found.append((12, samples + fractions))
        return found

    def content(self, fields: Fields) -> bytes:
        """An event's own bytes; what is dynamic stands behind the fields, or nowhere."""
        rng, k, out, behind = self.rng, self.kernel, b"", b""
        end = 8 + sum(size for _, _, size in fields)
        for kind, _, size in fields:
            if "_loc" in kind:
                data = rng.choice((b"", b"abc\0", b"de\xff\0", b"\1\2\3\4\5\6\7\x08" * 2, b"x" * 40))
                at = end + len(behind) - (8 + len(out) + 4 if kind.startswith("__rel") else 0)
                out += k.pack("I", (len(data) << 16 | at) & 0xFFFFFFFF)
                behind += data
            elif size in (1, 2, 4, 8):
                number = rng.choice(NUMBERS) & (1 << 8 * size) - 1
                out += number.to_bytes(size, "big" if k.big_endian else "little")
            else:
                out += bytes(rng.choice((0, 65, 66, 200)) for _ in range(size))
        return (out + behind)[: rng.choice((None, None, None, None, 6))]

    def record(self, cpu: Cpu) -> None:
        rng = self.rng
        self.now = max(self.now + rng.choice(STEPS), cpu.clock)
        pid, what, flags = rng.choice((0, 7, 7, 8)), rng.randrange(12), rng.choice((0, 0, 0, 8, 16, 0x40, 0x48))
        if what < 4:
            args = [rng.choice(NUMBERS) & self.mask for _ in range(rng.randrange(4))] if self.kernel.args else []
            retaddr = self.at() if rng.random() < 0.3 else None
            self.open.append((self.at(), pid, self.now - rng.choice((0, 3))))
            depth = rng.choice((len(self.open) - 1, len(self.open) - 1, 0x7FFF, 0x8000))
            cpu.entry(self.now, pid, self.open[-1][0], depth, args=args, retaddr=retaddr, flags=flags)
        elif what < 7 and self.open:
            func, pid, called = self.open.pop()
            over = self.now - rng.choice((0, 1, 50, 1 << 34))
            value = rng.choice(NUMBERS) & self.mask
            cpu.exit(self.now, pid, func, len(self.open), called, over, retval=value, overrun=3, flags=flags)
        elif what < 10:
            _, _, number, fields = rng.choice(self.events)
            cpu.event(self.now, pid, number, self.content(fields), flags=flags, long_form=rng.random() < 0.3)
        else:
            cpu.discarded(self.now, rng.choice((4, 8, 24)))
        if what == 11:
            rng.choice((cpu.pad, cpu.lose, lambda: cpu.lose(5), lambda: cpu.absolute(self.now)))()


def told(file: Path) -> str:
    try:
        trace = read(file)
    except InputError as error:
        return error.message.replace(str(file), "")[:80]
    trace.check()
    rows, _, rest = described(trace).partition(" | ")
    raw, texts = [repr(record) for record in records(file)], [one.text for one in trace.notices]
    return f"{codes(trace)} {recorded.digest(rows)} {recorded.digest(rest, texts)} {recorded.digest(raw)}"


def test_what_is_read_of_drawn_files(tmp_path: Path) -> None:
    file = tmp_path / "t.dat"
    recorded.compare_each("files", 120, lambda rng: (file.write_bytes(Drawn(rng).data), told(file))[1])
