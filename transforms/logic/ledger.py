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
    `failed` records ended as failures, of which `explained` have a line that says why. `unlike` are keys that decisions
    have and messages lack, or the other way round. `told` are the sender's receipts, of which the tables hold
    `returned`; `written` are the rows that all logs have had, `sealed` those in files, `waiting` those not in one yet.
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
    failed: int = 0
    explained: int = 0
    unlike: int = 0
    told: int = 0
    returned: int = 0
    written: int = 0
    sealed: int = 0
    waiting: int = 0
    again: dict[str, int] = {}


class Line(Struct, frozen=True):
    """`expected` as counted at the source, `found` at the other end, the rest on its way: less than none cannot be."""

    name: str
    expected: int
    found: int
    underway: int = 0

    @property
    def off(self) -> int:
        """How many are missing (or too many, if negative); 0 when the line adds up."""
        return self.expected - self.found - max(0, self.underway)


def lines(census: Census) -> list[Line]:
    """The ledgers' lines; all must be off by 0, also while things run if the counts are of one moment."""
    emitted = census.emitted
    pulled = sum(min(number, emitted.get(log, 0)) for log, number in census.pulled.items())  # nobody pulls what is not
    given = sum(emitted.values())
    done = census.applied + census.repeated + census.refused_derived
    unread = census.unread_derived + census.underway_derived
    return [
        Line("records from outside", census.external, census.settled, census.unread_external + census.underway),
        Line("records with two ends", 0, census.doubled + census.doubled_derived),
        Line("records given back to the door", given, census.arrived, given - pulled),
        Line("records given back and applied", census.derived, done, unread),
        Line("candidates with two ends", 0, census.doubled_candidates),
        Line("decisions to send", census.decided_to_send, census.messages),
        Line("messages decided", census.messages, census.intents),
        Line("intents", census.to_take, census.taken + census.repeated_intents, census.unread_intents),
        Line("messages claimed", census.taken, census.ended, census.open),
        Line("receipts", census.ended, census.receipts),
        Line("receipts that came back", census.told, census.returned, _on_their_way(census)),
        Line("failed records with a reason", census.failed, census.explained),
        Line("keys only decided or only written", 0, census.unlike),
        Line("rows of the tables", census.written, census.sealed, census.waiting),
    ]


def _on_their_way(census: Census) -> int:
    """The receipts that are missing in the tables, as far as anything is on its way there at all."""
    unpulled = census.emitted.get("sender", 0) - census.pulled.get("sender", 0)
    most = max(0, unpulled) + census.unread_derived + census.underway_derived
    return max(0, min(census.told - census.returned, most))


def problems(found: list[Line]) -> list[str]:
    """One sentence for each line that is off."""
    return [
        f"{line.name}: expected {line.expected}, found {line.found} and {line.underway} under way, off by {line.off}"
        for line in found
        if line.off
    ]
