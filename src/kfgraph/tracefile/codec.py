"""Decompression of chunks and sections, bounded."""

from __future__ import annotations

import threading
import zlib
from typing import Any

from kfgraph.model.units import format_bytes
from kfgraph.tracefile.layout import MAX_CHUNK, Chunk
from kfgraph.tracefile.source import Damage, Source

_MAX_WINDOW = 64 << 20


class Codec:
    """Decompression of one file's chunks, never into more than was declared."""

    def __init__(self, name: str, offset: int) -> None:
        if name not in ("zstd", "zlib", "none"):
            raise Damage(offset, f"unknown compression {name!r}")
        self.name = name
        self._local = threading.local()

    def __reduce__(self) -> tuple[Any, ...]:
        return Codec, (self.name, 0)

    def prepare(self) -> None:
        """Import what decompresses."""
        if self.name == "zstd":
            import zstandard  # noqa: F401

    def chunk(self, source: Source, chunk: Chunk) -> bytes:
        """The data of a chunk.

        Raises:
            Damage: it cannot be read, or not be decompressed.
        """
        data = source.read(chunk.offset, chunk.stored)
        if not chunk.compressed:
            return data
        if len(data) < chunk.stored:
            raise Damage(chunk.offset, "a chunk of trace data runs past the end of the file")
        return self.expand(data, chunk.size, chunk.offset, limit=MAX_CHUNK)

    def expand(self, data: bytes, declared: int, offset: int, *, limit: int) -> bytes:
        """``data`` decompressed: exactly ``declared`` bytes.

        Raises:
            Damage: the size is beyond ``limit``, or the data is not what it says.
        """
        if declared > limit:
            raise Damage(offset, f"a block says it holds {format_bytes(declared)}, more than any trace has")
        if self.name == "zlib":
            result = self._zlib(data, declared, offset)
        elif self.name == "zstd":
            result = self._zstd(data, declared, offset)
        else:
            raise Damage(offset, "a compressed block in a file without compression")
        if len(result) != declared:
            raise Damage(offset, f"a block says it holds {format_bytes(declared)} and holds {len(result)}")
        return result

    def _zlib(self, data: bytes, declared: int, offset: int) -> bytes:
        try:
            return zlib.decompressobj().decompress(data, declared) if declared else b""
        except zlib.error as error:
            raise Damage(offset, f"a block cannot be decompressed ({error})") from None

    def _zstd(self, data: bytes, declared: int, offset: int) -> bytes:
        import zstandard

        decompressor = getattr(self._local, "zstd", None)
        if decompressor is None:
            # One per thread: a decompressor is not to be used by two at once.
            decompressor = self._local.zstd = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        try:
            # trace-cmd's frames tell no content size; one that tells another is damage.
            told = zstandard.frame_content_size(data)
            if told not in (-1, declared):
                raise Damage(offset, f"a block says it holds {format_bytes(declared)}, its frame {format_bytes(told)}")
            return bytes(decompressor.decompress(data, max_output_size=declared)) if declared else b""
        except zstandard.ZstdError as error:
            raise Damage(offset, f"a block cannot be decompressed ({error})") from None
