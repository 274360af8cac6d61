"""Pub/Sub as Dataflow reads it: its service pulls, acknowledges and keeps the watermark; we only open the messages."""

from __future__ import annotations

from collections.abc import Iterator

from apache_beam import DoFn, ParDo, PTransform
from apache_beam.io.gcp.pubsub import PubsubMessage, ReadFromPubSub
from apache_beam.pvalue import PBegin, PCollection
from apache_beam.utils.timestamp import Timestamp

from transforms.batches import Pull
from transforms.sources.parcels import Parcel, blocks_of


class FromPubSub(PTransform):
    """Reads a subscription (`projects/…/subscriptions/…`): one message, one micro-batch, one pull."""

    def __init__(self, subscription: str) -> None:
        super().__init__()
        self._subscription = subscription

    def expand(self, begin: PBegin) -> PCollection:
        messages = begin | "pull" >> ReadFromPubSub(subscription=self._subscription, with_attributes=True)
        return messages | "open messages" >> ParDo(AsPull())


class AsPull(DoFn):
    """A message as a pull. Its element time is the server's publish time, and that of the records in it."""

    def process(self, message: PubsubMessage, time: Timestamp = DoFn.TimestampParam) -> Iterator[Pull]:
        blocks = list(blocks_of(Parcel(message.message_id or "", time.micros, message.data or b"")))
        if blocks:
            yield Pull(blocks)
