"""A log of one process on its way into a topic, at least once: for those who keep a log of their own beside Kafka.

The place is noted after the brokers have what lies before it. After a crash some records are published again, with
the ids they had.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.codec import unpack_many
from schemas.records import Derived, Message, Row
from transforms.stores.log import LogReader
from transforms.topics import Publisher

_FRAMES = 64
_IDLE, _LATER = 0.01, 1.0
_FILE = "relayed"

log = logging.getLogger("rapport.kafka")


KINDS: dict[str, Any] = {"feedback": Derived, "receipts": Derived, "intents": Message, "rows": Row}
"""What is relayed of a log, by its topics there. Receipts are feedback on the other side."""


class Relay:
    """What the log in `folder` hands over, published under the same names."""

    def __init__(self, folder: Path, publisher: Publisher) -> None:
        self._folder, self._publisher = folder, publisher
        self._log = LogReader(folder, relayed(folder), KINDS)

    def turn(self) -> bool:
        """Publish what is new; False if nothing was. OSError: it will be published again."""
        frames = self._log.read(_FRAMES)
        if not frames:
            return False
        try:
            for frame in frames:
                for name, part in frame.parts.items():
                    topic = "feedback" if name == "receipts" else name
                    self._publisher.publish(topic, unpack_many(part.payload, KINDS[name]))
            self._publisher.flush()
        except OSError:
            self._log.close()
            self._log = LogReader(self._folder, relayed(self._folder), KINDS)
            raise
        self._note(self._log.address)
        return True

    def close(self) -> None:
        self._log.close()

    def _note(self, address: int) -> None:
        fresh = self._folder / f"{_FILE}.new"
        fresh.write_bytes(address.to_bytes(8))
        fresh.replace(self._folder / _FILE)


def relayed(folder: Path) -> int:
    """The address in the log of `folder` up to which a relay has published, 0 if there is none."""
    file = folder / _FILE
    return int.from_bytes(file.read_bytes()) if file.exists() else 0


@contextmanager
def relay_while(relay: Relay) -> Iterator[None]:
    """Relay in the background while the context lasts; at its end what is there by then is relayed, too."""
    over = threading.Event()
    thread = threading.Thread(target=_relay, args=(relay, over), name="relay")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        relay.close()


def _relay(relay: Relay, over: threading.Event) -> None:
    """Until it is over and nothing is left; when it is over, trouble ends it, too: the place is kept."""
    while True:
        last = over.is_set()
        try:
            busy = relay.turn()
        except OSError as error:
            log.error("what was given back stays here for now: %s", error)
            if last or over.wait(_LATER):
                return
            continue
        if last and not busy:
            return
        if not busy:
            over.wait(_IDLE)
