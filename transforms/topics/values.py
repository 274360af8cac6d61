"""What a message of the records topic holds: an entry as a door packed it, or a record that the job gives back.

01 …       an `Entry`, packed (`schemas.codec`): between our own processes
C3 01 …    a `Derived` in Avro single-object encoding (`schemas.single_object`): what job and senders give back
nothing    a tick: time passed and nobody said anything
"""

from __future__ import annotations

import msgspec

from schemas.codec import UnknownVersion, pack, unpack
from schemas.records import CLAIMED, OWN, Derived, Entry
from schemas.single_object import NotReadable, decode, is_single_object

SOURCE = "kafka"
DERIVED, UNREADABLE = "derived", "unreadable"


def entry_of(value: bytes) -> Entry:
    """The entry in a message. What cannot be read is one, too: discover refuses it by name, and it is counted."""
    if is_single_object(value):
        return _given_back(value)
    try:
        return unpack(value, Entry)
    except (UnknownVersion, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Entry(UNREADABLE, "", CLAIMED, SOURCE, 0, value)


def _given_back(value: bytes) -> Entry:
    """A derived record as the rest of the job knows it; one of an unknown schema stays as it came."""
    try:
        record = decode(value)
    except NotReadable:
        return Entry(DERIVED, "", OWN, SOURCE, 0, value)
    if not isinstance(record, Derived):
        return Entry(UNREADABLE, "", CLAIMED, SOURCE, 0, value)
    return Entry(DERIVED, record.tenant, OWN, SOURCE, 0, pack(record))
