"""A folder of recordings packed into one file, a third smaller: what they share is stored once.

    python tests/why/pack.py FOLDER OUT.tar.xz

Sources of modules that lie beside them (NAME.c) are packed, too. The recordings are written without compression of
their own. benchmarks/blame.py unpacks them.
"""

from __future__ import annotations

import io
import lzma
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import kfgraph
from builder import cut


def packed(folder: Path) -> bytes:
    """All recordings of ``folder``, their companions, and the sources of the modules."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for file in sorted(folder.glob("*.dat")):
            data = cut.rewrite(file, lambda _, record: True, names=kfgraph.load(file), compression="none")[True]
            companion = Path(f"{file}.kfgraph.json")
            _add(tar, file.name, data)
            _add(tar, companion.name, companion.read_bytes())
        for source in sorted(folder.glob("*.c")):
            _add(tar, source.name, source.read_bytes())
    return lzma.compress(buffer.getvalue(), filters=[{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 64 << 20}])


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(packed(Path(sys.argv[1])))
