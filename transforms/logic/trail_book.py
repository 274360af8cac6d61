"""The trails that one batch touches: read together, changed in memory, written back together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from schemas.codec import pack
from transforms.logic.shard import Shard
from transforms.logic.trails import MEMORY, Trail, unpacked

_EMPTY = Trail()


class TrailBook:
    """Trails of a shard by cookie address. `keys` may repeat; only these may be asked for."""

    def __init__(self, shard: Shard, keys: Sequence[bytes]) -> None:
        self._shard = shard
        wanted = list(dict.fromkeys(keys))
        self._rows = dict(zip(wanted, shard.get_many(wanted) if wanted else (), strict=True))
        self._read: dict[bytes, Trail] = {}
        self._armed: dict[bytes, int] = {}  # the wakes that changed trails had in their rows

    def find(self, key: bytes, now: int) -> Trail:
        """The trail as it is at a moment: one that is cold by then is forgotten, whether its wake has rung or not."""
        trail = self._read.get(key)
        if trail is None:
            trail = self._unpacked(key)
        if now - trail.last <= MEMORY:  # too young to be cold
            return trail
        return _EMPTY if trail.armed and trail.cold_at < now else trail

    def put(self, key: bytes, trail: Trail) -> None:
        """Replace a trail that was found."""
        old = self._read[key]
        if trail is not old:
            self._read[key] = trail
            self._armed.setdefault(key, old.armed)

    def keep(self) -> None:
        """Write what changed, with a wake for each trail that has a new one."""
        changed = sorted(self._armed)
        if changed:
            self._shard.put_many({key: pack(self._read[key]) for key in changed})
            wakes = [(self._read[key].armed, key) for key in changed]
            self._shard.wake_many([(armed, key) for armed, key in wakes if armed != self._armed[key]])

    def _unpacked(self, key: bytes) -> Trail:
        row = self._rows[key]
        trail = self._read[key] = unpacked(row) if row else _EMPTY
        return trail

    def forget(self, due: Iterable[tuple[int, bytes]]) -> None:
        """Drop the trails that are cold at their wake; the others ring again when they would be."""
        rows, wakes = dict[bytes, bytes | None](), []
        for time, key in due:
            trail = self._unpacked(key)
            if trail.armed != time:
                continue
            if trail.cold_at <= time:
                rows[key] = None
            else:
                rows[key] = pack(replace(trail, armed=trail.cold_at))
                wakes.append((trail.cold_at, key))
        self._shard.put_many(rows)
        self._shard.wake_many(wakes)
