"""Which arm of a campaign's experiment a person is in: fixed by who they are, never by chance or time."""

from __future__ import annotations

from hashlib import blake2b

BUCKETS = 10_000


def bucket(tenant: str, campaign: str, person: str) -> int:
    """The person's place among 10,000 for this campaign."""
    text = f"{tenant}\x1f{campaign}\x1f{person}".encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest()) % BUCKETS


def is_control(tenant: str, campaign: str, person: str, share: int) -> bool:
    """Whether the person belongs to the control group, `share` ten-thousandths of everybody.

    A larger share keeps everybody who was in it.
    """
    return bucket(tenant, campaign, person) < share
