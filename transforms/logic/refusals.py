"""The record of a refusal: a failure with the bytes as they came, its id stable when the work is repeated."""

from __future__ import annotations

from schemas.codec import pack
from schemas.keys import derived_id
from schemas.records import Event, Failure, Mention

_DETAIL = 200


def failure(stage: str, item: Event | Mention, reason: str, detail: str = "") -> Failure:
    """A typed record that `stage` refused; one that came without bytes of its own is packed whole."""
    return Failure(
        id=derived_id("failure", stage, item.partition, item.sequence, item.sub),
        tenant=item.tenant,
        stage=stage,
        reason=reason,
        detail=detail[:_DETAIL],
        body=item.raw or pack(item),
        received_at=item.received_at,
        partition=item.partition,
        sequence=item.sequence,
        sub=item.sub,
    )
