"""The two ledgers: whether everything that was accepted, emitted, decided and sent has come to exactly one end. Pure.

Each line compares a count with one taken elsewhere: the door's with the tables', the logs' numbers with the sender's.
"""

from __future__ import annotations

from msgspec import Struct


class Census(Struct, frozen=True, kw_only=True):
    """Counts of one data folder at one moment, each taken where it arises.

    `unread_*` are journal records behind no lane's place yet; `underway*` have an interim line only (forwarded);
    `doubled*` have more than one final line. `emitted` and `pulled` are by log. `derived` are the journal's records
    that were given back, `arrived` the different ones among them. `intents` are the different messages handed over,
    `to_take` what the sender finds of them. `ghosts` are the sender's receipts for messages that nobody is known to
    have decided; `again` says by topic how many records came more than once (topics carry them at least once).
    """

    external: int = 0
    settled: int = 0
    doubled: int = 0
    unread_external: int = 0
    underway: int = 0
    derived: int = 0
    arrived: int = 0
    applied: int = 0
    repeated: int = 0
    refused_derived: int = 0
    doubled_derived: int = 0
    unread_derived: int = 0
    underway_derived: int = 0
    emitted: dict[str, int] = {}
    pulled: dict[str, int] = {}
    candidates: int = 0
    doubled_candidates: int = 0
    decided_to_send: int = 0
    messages: int = 0
    intents: int = 0
    to_take: int = 0
    unread_intents: int = 0
    taken: int = 0
    repeated_intents: int = 0
    ended: int = 0
    open: int = 0
    receipts: int = 0
    ghosts: int = 0
    again: dict[str, int] = {}


class Line(Struct, frozen=True):
    """`expected` as counted at the source, `found` at the other end, the rest on its way."""

    name: str
    expected: int
    found: int
    underway: int = 0

    @property
    def off(self) -> int:
        """How many are missing (or too many, if negative); 0 when the line adds up."""
        return self.expected - self.found - self.underway


def lines(census: Census) -> list[Line]:
    """The ledgers' lines; all must be off by 0, also while things run if the counts are of one moment."""
    emitted, pulled = sum(census.emitted.values()), sum(census.pulled.values())
    done = census.applied + census.repeated + census.refused_derived
    unread = census.unread_derived + census.underway_derived
    return [
        Line("records from outside", census.external, census.settled, census.unread_external + census.underway),
        Line("records with two ends", 0, census.doubled + census.doubled_derived),
        Line("records given back to the door", emitted, census.arrived, emitted - pulled),
        Line("records given back and applied", census.derived, done, unread),
        Line("candidates with two ends", 0, census.doubled_candidates),
        Line("decisions to send", census.decided_to_send, census.messages),
        Line("messages decided", census.messages, census.intents),
        Line("intents", census.to_take, census.taken + census.repeated_intents, census.unread_intents),
        Line("messages claimed", census.taken, census.ended, census.open),
        Line("receipts", census.ended, census.receipts),
    ]


def problems(found: list[Line]) -> list[str]:
    """One sentence for each line that is off."""
    return [
        f"{line.name}: expected {line.expected}, found {line.found} and {line.underway} under way, off by {line.off}"
        for line in found
        if line.off
    ]
