"""The sender: one process that delivers what the job decided. Stop, kill, start it: nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipelines.books import Books, OwnBooks, ReceiptsLog, SharedBooks
from pipelines.bounds import require
from pipelines.brokers import ReceiptsTopic, intents_topic, relaying
from pipelines.clock import Follower, open_clock
from pipelines.config import Config
from pipelines.history import receipts_of
from pipelines.outlets import open_outlet
from pipelines.status import Status
from pipelines.workspace import load
from schemas import workspace
from schemas.codec import unpack_many
from schemas.records import Message
from transforms.channels import Channel
from transforms.channels.recorder import Recorder
from transforms.deliver import Delivery
from transforms.stores.lease import LeaseLost
from transforms.stores.log import LogReader
from transforms.surroundings import Intents, Way

FRAMES = 64
LATER = 1.0
"""Real seconds until what could not be reached is asked again."""

log = logging.getLogger("rapport.sender")


def run(config: Config, stop: Callable[[], bool] | None = None) -> None:
    """Deliver until `stop` says so; the attempts in the air then end first."""
    asyncio.run(_run(config, stop or (lambda: False)))


async def _run(config: Config, stop: Callable[[], bool]) -> None:
    clock = await _clock(config, stop)
    if clock is None:
        return
    require(config)
    channels = open_channels(load(config.workspace), config, clock)
    try:
        if config.redis:
            await _share(config, clock, channels, stop)
        else:
            with relaying(config, "sender"):
                await _deliver(OwnBooks(config), config, clock, channels, stop)
    finally:
        for channel in {id(channel): channel for channel in channels.values()}.values():
            await channel.close()


async def _share(config: Config, clock: Follower, channels: Mapping[Way, Channel], stop: Callable[[], bool]) -> None:
    """Deliver beside others; a sender that lost its lease begins anew, with what it left if nobody else took that."""
    told = ReceiptsTopic(config) if config.kafka else ReceiptsLog(config)
    try:
        while not stop():
            try:
                books = SharedBooks(config.redis, told.write, lambda: receipts_of(config), clock.now())
                await _deliver(books, config, clock, channels, stop)
            except LeaseLost as lost:
                log.error("%s; this one begins anew", lost)
            except OSError as error:
                log.error("Redis cannot be reached, nothing leaves: %s", error)
                await asyncio.sleep(LATER)
    finally:
        told.close()


async def _deliver(
    books: Books, config: Config, clock: Follower, channels: Mapping[Way, Channel], stop: Callable[[], bool]
) -> None:
    position = books.sends.position
    intents = intents_topic(config, position) if config.kafka else IntentsLog(config.folder("person"), position)
    delivery = Delivery(books.sends, channels, books.suppression, clock, books.lease, books.limits)
    try:
        await _loop(delivery, books.intents(intents), config, stop, books)
    finally:
        await delivery.drop()
        intents.close()
        books.close()


async def _clock(config: Config, stop: Callable[[], bool]) -> Follower | None:
    """The clock of the data folder, once the door has made it: without one here, nobody would know who opted out.

    Where suppression is in Redis and the journal in Kafka no door need be near; time is then real.
    """
    if config.kafka and config.redis:
        open_clock(config.clock_file)
    known = config.redis or not config.kafka
    if not config.clock_file.exists():
        log.warning("waiting for a door to begin in %s; see --data if one runs elsewhere", config.data)
    while not (config.clock_file.exists() and (known or config.folder("door").exists())):
        if stop():
            return None
        await asyncio.sleep(0.05)
    return Follower(config.clock_file)


async def _loop(delivery: Delivery, intents: Intents, config: Config, stop: Callable[[], bool], books: Books) -> None:
    status = Status(config.folder("status"), "sender")
    while not stop():
        try:
            books.tend(delivery.clock.now())
            busy = delivery.turn(intents)
        except OSError as error:
            remedy = "; free disk space" if error.errno else ""  # Redis and Kafka say themselves what to do
            log.error("nothing leaves now, it is tried again: %s%s", error, remedy)
            await asyncio.sleep(LATER)
            continue
        await asyncio.sleep(0 if busy else config.idle)
        status.tell(lambda: figures(delivery))
    await delivery.finish(intents)
    books.tend(delivery.clock.now())
    status.tell(lambda: figures(delivery), now=True)


def figures(delivery: Delivery) -> dict[str, Any]:
    """What people want to know: how much went where, what waits, what is wrong; latencies in milliseconds."""
    counts = delivery.sends.counts
    ordered = sorted(delivery.latencies)
    return {
        "at": delivery.clock.now(),
        "epoch": counts.epoch,
        "intents": counts.taken + counts.repeated,
        "sent": counts.sent,
        "refused": counts.refused,
        "in_doubt": counts.in_doubt,
        "repeated": counts.repeated,
        "ended": dict(delivery.ended),
        "open": counts.open,
        "latency_p50_ms": ordered[len(ordered) // 2] / 1000 if ordered else None,
        "latency_p99_ms": ordered[len(ordered) * 99 // 100] / 1000 if ordered else None,
        "disabled": [f"{tenant}/{channel}" for (tenant, channel), lane in delivery.lanes.items() if lane.disabled],
        "alarms": delivery.alarms,
    }


def open_channels(tenants: workspace.Workspace, config: Config, clock: Follower) -> dict[Way, Channel]:
    """Every way out of the workspace. Raises ConfigError naming a sink that cannot be opened; nothing is open then."""
    sinks = {(name, to): sink for name, tenant in tenants.tenants.items() for to, sink in tenant.sinks.items()}
    found: dict[Way, Channel] = {way: open_outlet(way, sink) for way, sink in sinks.items() if sink.kind != "recorder"}
    if len(found) < len(sinks):
        recorder = Recorder(config.data / "sent" / "recorder.jsonl", clock.now, sync=config.sync)
        found.update({way: recorder for way, sink in sinks.items() if sink.kind == "recorder"})
    return found


class IntentsLog:
    """The topic `intents` of the person lane's log, from a cursor on; the log may appear later."""

    def __init__(self, folder: Path, position: bytes) -> None:
        self._reader = LogReader(folder, int.from_bytes(position), {"intents"})

    def read(self) -> list[Message]:
        """What has been committed since the last call."""
        messages: list[Message] = []
        for frame in self._reader.read(FRAMES):
            messages += unpack_many(frame.parts["intents"].payload, Message)
        if self._reader.gap:
            log.error("the intents log begins behind the sender's place in it; look for intents without receipts")
            self._reader.gap = False
        return messages

    def position(self) -> bytes:
        """The place after what has been read."""
        return self._reader.address.to_bytes(8)

    def settled(self) -> None:
        """The place in the log stands in the sender's table: nobody else wants to know."""

    def close(self) -> None:
        """Close the log's files."""
        self._reader.close()
