"""System calls from what a recording has by default: raw numbers, registers and results, and paths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.tracedat import TEXT, Cpu, Extra, Kernel, trace_dat
from kfgraph.analyze.errorlist import errors
from kfgraph.analyze.failure import deciding, failed_calls
from kfgraph.analyze.syscalls import SystemCall, system_calls
from kfgraph.analyze.sysevents import arguments_of
from kfgraph.kernel.syscall_arguments import worded
from kfgraph.kernel.syscall_numbers import names_by_number
from kfgraph.parse import load
from kfgraph.render.syscalls import SystemCallsView

OPENAT, RENAME, EXIT_GROUP, STRANGE = 257, 82, 231, 9999
HANDLER = TEXT + 0x100
SYMBOLS = {TEXT: ("T", "_stext", ""), HANDLER: ("T", "__x64_sys_openat", ""), TEXT + 0x200: ("T", "other", "")}
EVENTS = (
    ("raw_syscalls", "sys_enter", 400, [("long", "id", 8), ("unsigned long", "args[6]", 48)]),
    ("raw_syscalls", "sys_exit", 401, [("long", "id", 8), ("long", "ret", 8)]),
    *(
        ("kfgraph", f"path_of_{name}", number, [
            ("unsigned long", "__probe_func", 8), ("unsigned long", "__probe_ret_ip", 8),
            ("__data_loc char[]", "path", 4), ("u64", "user", 8),
        ])
        for name, number in (("getname", 402), ("getname_flags", 403))
    ),
)  # fmt: skip


class Task:
    """One task's records, a microsecond apart."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.cpu = Cpu(self.kernel, 0)
        self.time = 1_000
        self.pid = 42

    def _event(self, number: int, data: bytes) -> None:
        self.time += 1_000
        self.cpu.event(self.time, self.pid, number, data)

    def enter(self, number: int, *registers: int) -> None:
        self._event(400, self.kernel.pack("q6Q", number, *registers, *[0] * (6 - len(registers))))

    def leave(self, number: int, result: int) -> None:
        self._event(401, self.kernel.pack("qq", number, result))

    def path(self, text: str, *, user: int = 0, event: int = 402) -> None:
        data = text.encode() + b"\0"
        # Behind the common fields: two addresses, the place, four bytes of nothing, the pointer.
        place = len(data) << 16 | (8 + 8 + 8 + 4 + 8)
        self._event(event, self.kernel.pack("QQIQ", HANDLER, 0, place, user) + data)

    def handler(self, *, inside: tuple[str, int] | None = None) -> None:
        self.time += 1_000
        begin = self.time
        self.cpu.entry(begin, 42, HANDLER, 0)
        if inside:
            self.path(inside[0], user=inside[1])
        self.time += 5_000
        self.cpu.exit(self.time, 42, HANDLER, 0, begin, self.time)

    def calls(self, folder: Path) -> list[SystemCall]:
        return system_calls(load(str(self.written(folder))))

    def written(self, folder: Path) -> Path:
        # A trace without a call is none: one that is no system call.
        self.cpu.entry(self.time + 1_000, 42, TEXT + 0x200, 0)
        self.cpu.exit(self.time + 2_000, 42, TEXT + 0x200, 0, self.time + 1_000, self.time + 2_000)
        path = folder / "raw.dat"
        extra = Extra(events=EVENTS, comms={42: "prog"})
        path.write_bytes(trace_dat(self.kernel, [self.cpu], symbols=SYMBOLS, extra=extra))
        return path


def test_a_call_with_its_handler_has_number_path_registers_and_result(tmp_path: Path) -> None:
    task = Task()
    task.enter(OPENAT, 0xFFFFFF9C, 0x7F00, 0o2000000)
    task.handler(inside=("/nonexistent", 0x7F00))
    task.leave(OPENAT, -2)
    (call,) = task.calls(tmp_path)
    assert (call.name, call.result, call.error, call.evidence) == ("openat", -2, -2, "system call result")
    assert call.shown == 'openat("/nonexistent")'
    assert call.worded == 'openat(AT_FDCWD, "/nonexistent", O_RDONLY|O_CLOEXEC)'
    assert (call.row, call.duration_ns) == (0, 6_000)


def test_the_list_of_errors_has_system_calls_whose_result_an_event_tells(tmp_path: Path) -> None:
    task = Task()
    for result in (-2, 3, -2):
        task.enter(OPENAT, 0xFFFFFF9C, 0x7F00, 0)
        task.handler()
        task.leave(OPENAT, result)
    (row,) = errors(load(str(task.written(tmp_path))))
    assert (row.function, row.error, row.n_calls, row.sure, row.handler) == ("__x64_sys_openat", -2, 2, True, "")


def test_a_call_without_a_handler_has_the_name_of_its_number_and_lasts_from_event_to_event(tmp_path: Path) -> None:
    task = Task()
    task.enter(OPENAT, 0xFFFFFF9C, 0x7F00, 0)
    task.path("/a")
    task.leave(OPENAT, 3)
    task.enter(STRANGE, 1)
    task.leave(STRANGE, 7)
    first, second = task.calls(tmp_path)
    assert (first.shown, first.result, first.row, first.duration_ns) == ('openat("/a")', 3, -1, 2_000)
    assert (second.name, second.worded, second.result) == ("system call 9999", "system call 9999(…)", 7)


def test_numbers_of_an_unknown_machine_get_no_names(tmp_path: Path) -> None:
    task = Task()
    task.enter(OPENAT, 1)
    task.leave(OPENAT, 0)
    trace = load(str(task.written(tmp_path)))
    (call,) = system_calls(replace(trace, meta=replace(trace.meta, arch="mystery")))
    assert call.name == "system call 257"


@pytest.mark.parametrize(("pointers", "shown"), [((0x22, 0x11), '"old", "new"'), ((0, 0), '"new", "old"')])
def test_two_paths_stand_in_the_order_of_the_arguments_where_their_addresses_tell_it(
    pointers: tuple[int, int], shown: str, tmp_path: Path
) -> None:
    task = Task()
    task.enter(RENAME, 0x11, 0x22)
    task.path("new", user=pointers[0])
    task.path("old", user=pointers[1])
    task.leave(RENAME, 0)
    (call,) = task.calls(tmp_path)
    assert call.worded == f"rename({shown})"


def test_a_path_that_two_probes_saw_is_one_and_two_equal_paths_are_two(tmp_path: Path) -> None:
    task = Task()
    task.enter(OPENAT, 3, 0x11)
    task.path("/a", event=403)
    task.path("/a", event=402)
    task.leave(OPENAT, 4)
    task.enter(RENAME, 0x11, 0x22)
    task.path("/b", event=403)
    task.path("/b", event=403)
    task.leave(RENAME, 0)
    opened, renamed = task.calls(tmp_path)
    assert (opened.paths, renamed.paths) == (("/a",), ("/b", "/b"))


def test_where_not_all_fits_the_file_stays(tmp_path: Path) -> None:
    task = Task()
    task.enter(OPENAT, 0xFFFFFF9C, 0x7F00, 0o2000000)
    task.path("/usr/lib/locale/C.UTF-8/LC_COLLATE")
    task.leave(OPENAT, 3)
    trace = load(str(task.written(tmp_path)))
    view = SystemCallsView(trace, system_calls(trace))
    short, long = (list(view.lines(width))[1].plain for width in (80, 120))
    assert short.endswith('  openat("/usr/lib/locale/C.UTF-8/LC_COLLATE")') and len(short) <= 80
    assert long.endswith('  openat(AT_FDCWD, "/usr/lib/locale/C.UTF-8/LC_COLLATE", O_RDONLY|O_CLOEXEC)')


def test_two_tasks_whose_calls_interleave_have_each_their_own(tmp_path: Path) -> None:
    task = Task()
    for names, results in ((("/a", "/b"), (3, -2)), (("/c", "/d"), (-13, 4))):
        for task.pid, name in zip((42, 7), names, strict=True):
            task.enter(OPENAT, 3, 0x11)
            task.path(name)
        for task.pid, result in zip((42, 7), results, strict=True):
            task.leave(OPENAT, result)
    trace = load(str(task.written(tmp_path)))
    told = [(trace.tasks[call.lane].pid, call.paths, call.result) for call in system_calls(trace)]
    assert sorted(told) == [(7, ("/b",), -2), (7, ("/d",), 4), (42, ("/a",), 3), (42, ("/c",), -13)]


def test_a_path_that_could_not_be_read_is_not_known(tmp_path: Path) -> None:
    task = Task()
    task.enter(OPENAT, 3, 0x11, 0)
    task.path("(fault)")
    task.leave(OPENAT, -14)
    (call,) = task.calls(tmp_path)
    assert (call.path, call.worded, call.error) == (None, "openat(3, 0x11, O_RDONLY)", -14)


def test_a_path_belongs_to_the_call_in_which_it_was_read(tmp_path: Path) -> None:
    task = Task()
    for name, result in (("/first", 3), ("/second", -2)):
        task.enter(OPENAT, 0xFFFFFF9C, 0x7F00, 0)
        task.handler(inside=(name, 0x7F00))
        task.leave(OPENAT, result)
    assert [(call.path, call.result) for call in task.calls(tmp_path)] == [("/first", 3), ("/second", -2)]


@pytest.mark.parametrize(("status", "decides"), [(1, '"/nonexistent"'), (0, None)])
def test_the_exit_status_is_in_the_register(status: int, decides: str | None, tmp_path: Path) -> None:
    task = Task()
    task.enter(OPENAT, 0xFFFFFF9C, 0x7F00, 0)
    task.path("/nonexistent")
    task.leave(OPENAT, -2)
    task.enter(EXIT_GROUP, status)
    failed = failed_calls(load(str(task.written(tmp_path))))
    assert len(failed) == 1
    decisive = deciding(failed)
    assert (decisive.call.shown if decisive else None) == (f"openat({decides})" if decides else None)


@pytest.mark.parametrize(
    ("text", "registers"),
    [
        ("id=21 args={0x7ff,0x4,0x0}", [0x7FF, 4, 0]),
        ("NR 257 (ffffff9c, 7f00, 80000, 0)", [0xFFFFFF9C, 0x7F00, 0x80000, 0]),
        ("filename: 0x7f", []), ("id=3", []), ("", []),
    ],
)  # fmt: skip
def test_registers_from_each_spelling(text: str, registers: list[int]) -> None:
    assert arguments_of(text) == registers


@pytest.mark.parametrize(
    ("arch", "numbers"),
    [
        ("x86_64", {0: "read", 257: "openat", 313: "finit_module", 334: "rseq", 435: "clone3", 231: "exit_group"}),
        ("i686", {3: "read", 5: "open", 295: "openat", 350: "finit_module"}),
        ("aarch64", {63: "read", 56: "openat", 273: "finit_module", 94: "exit_group", 38: "renameat"}),
        ("riscv64", {63: "read", 56: "openat"}), ("s390x", {3: "read", 288: "openat", 344: "finit_module"}),
        ("armv7l", {3: "read", 322: "openat", 379: "finit_module"}), ("ppc64le", {3: "read", 286: "openat"}),
    ],
)  # fmt: skip
def test_numbers_are_those_of_the_architecture(arch: str, numbers: dict[int, str]) -> None:
    known = names_by_number(arch)
    assert {number: known.get(number) for number in numbers} == numbers


def test_an_architecture_without_a_table_has_no_names() -> None:
    assert names_by_number("mips64") == names_by_number("") == {}


@pytest.mark.parametrize(
    ("name", "registers", "paths", "words"),
    [
        ("open", [1, 0o101, 0o644], ["f"], ['"f"', "O_WRONLY|O_CREAT", "0644"]),
        ("open", [1, 0o2, 0o644], ["f"], ['"f"', "O_RDWR"]),
        ("openat", [5, 1, 0o40000000], [], ["5", "0x1", "O_RDONLY|0x800000"]),
        ("read", [3, 0, 512], [], ["3", "NULL", "512"]),
        ("mount", [1, 2, 3, 0x1], ["/mnt"], ["0x1", '"/mnt"', "0x3", "0x1"]),
        ("kill", [0xFFFFFFFF, 9], [], ["-1", "9"]), ("mkdir", [1, 0o755], ["d"], ['"d"', "0755"]),
        ("rename", [1, 2], ["a", "b"], ['"a"', '"b"']),
    ],
)  # fmt: skip
def test_arguments_are_worded_as_strace_has_them(
    name: str, registers: list[int], paths: list[str], words: list[str]
) -> None:
    assert worded(name, registers, paths, arch="x86_64") == words


def test_flags_of_open_are_a_number_where_the_bits_are_others() -> None:
    assert worded("open", [1, 0o200000], ["f"], arch="aarch64") == ['"f"', "0x10000"]
    assert worded("no_such_call", [1], [], arch="x86_64") is None
