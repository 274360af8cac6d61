"""What a crash may leave at the end of a log, told from what it never does.

A commit is one write, so a crash leaves its beginning, or after a power cut some of its pages and zeros for the others;
nothing stands behind it. Whole frames behind broken bytes, and bytes that begin no frame, are damage of another kind.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

from transforms.stores.frames import (
    FRAME_MAGIC,
    HEADER,
    SEGMENT_MAGIC,
    Outline,
    directory_length,
    read_outline,
)

Bytes = mmap.mmap | bytes


def outlines(data: Bytes, start: int, address: int) -> Iterator[Outline]:
    """The frames from `address` on in the mapped segment that begins at `start`, up to the first that is not whole."""
    while (outline := _outline(data, start, address)) is not None:
        yield outline
        address = outline.end


def whole(data: Bytes, start: int, outline: Outline) -> bool:
    """Whether all payloads of a frame are what was written."""
    return all(
        entry.holds(data[entry.address - start : entry.address - start + entry.length]) for entry in outline.entries
    )


def torn(data: Bytes, start: int, address: int) -> bool:
    """Whether what stands from `address` on in the segment that begins at `start` may be left of a crash.

    No frame stands at `address`; at `start` no head of a segment does.
    """
    offset = address - start
    first = bytes(data[offset : offset + len(FRAME_MAGIC)])
    magic = FRAME_MAGIC if offset else SEGMENT_MAGIC
    return (not first.strip(b"\0") or magic.startswith(first)) and not _frame_behind(data, start, offset + 1)


def _frame_behind(data: Bytes, start: int, offset: int) -> bool:
    while (offset := data.find(FRAME_MAGIC, offset)) >= 0:
        outline = _outline(data, start, start + offset)
        if outline is not None and whole(data, start, outline):
            return True
        offset += 1
    return False


def _outline(data: Bytes, start: int, address: int) -> Outline | None:
    offset = address - start
    length = directory_length(data[offset : offset + HEADER])
    outline = read_outline(data[offset : offset + length], address) if length else None
    return outline if outline is not None and outline.end - start <= len(data) else None
