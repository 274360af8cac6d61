"""Engage: one profile a person; what happens to it, what that triggers, and what is said because of it.

`Engage` is the stage. In a step of one person, in this order: wakes that came before the record ring, the record is
learned, its rules ask for messages (both in `rules.py`), each candidate passes the gates and is decided. Nothing is
stored until the whole batch has been applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

from schemas.failures import STEP_FAILED
from schemas.keys import derived_id
from schemas.records import (
    CLAIMED,
    OWN,
    CutsPublished,
    Failure,
    Handover,
    Known,
    Receipt,
    Silenced,
)
from schemas.workspace import Tenant
from transforms.logic import (
    abandoned_cart,
    lines,
    merge,
    receipts,
    rfm_transition,
)
from transforms.logic.decide import decide
from transforms.logic.moment import Moment, Plan
from transforms.logic.people import People
from transforms.logic.profile import RUNS, Alias, Person, pack_row, unpack_row
from transforms.logic.refusals import failure
from transforms.logic.rules import learn, rules_of, teaches_nothing
from transforms.logic.shard import Outputs, Shard

VERIFIED, SHARED = "verified", "shared"
MOST_HOPS = 3
IDENTITY_LOOP = "identity_loop"


class Engage:
    """The stage over all tenants; `secret` keys the hashes of identifiers and tokens."""

    name = lines.STAGE

    def __init__(self, tenants: Mapping[str, Tenant], secret: bytes) -> None:
        self._plans = {name: Plan.of(tenant, secret) for name, tenant in tenants.items()}

    def key(self, item: Known) -> bytes:
        return item.address

    def run(self, shard: Shard, items: Sequence[Known]) -> Outputs:
        """Apply a batch, all or nothing. A record that cannot be applied raises."""
        out = Outputs()
        people = People(shard, [item.address for item in items])
        for item in items:
            self._take(people, item, out)
        people.keep()
        return out

    def wake(self, shard: Shard, upto: int) -> Outputs:
        """Ring everything due at or before `upto`, by time, then address."""
        out = Outputs()
        waiting = shard.due(upto)
        people = People(shard, [address for _, address in waiting])
        heapify(waiting)
        while waiting:
            time, address = heappop(waiting)
            person = people.get(address)
            if not isinstance(person, Person):
                continue
            person = self._answer(people, address, person, time, out)
            if 0 < person.due <= upto:
                people.rearm(person, address, person.due)
                heappush(waiting, (person.due, address))
        people.keep()
        return out

    def refuse(self, item: Known, error: Exception) -> Outputs:
        """One failure for a record that `run` could not take, and its line in the ledger."""
        return _fail(Outputs(), item, STEP_FAILED, type(error).__name__)

    # --- records ------------------------------------------------------------------------------------------------------

    def _take(self, people: People, known: Known, out: Outputs) -> None:
        event = known.event
        if type(event.fact) is CutsPublished:
            self._publish(people, known, out)
            return
        address = known.address
        row = people.get(address)
        if type(row) is Person:
            while 0 < row.due < event.received_at:
                row = self._ring(people, address, row, out)
        if known.link:
            self._link(people, known, row, out)
        elif type(row) is Alias:
            _forward(known, row.target, out)
        elif type(row) is Person and (moved := merge.at_home(known, row, self._plans[event.tenant].secret)):
            _forward(*moved, out)
        else:
            self._apply(people, known, row if type(row) is Person else None, out)

    def _apply(self, people: People, known: Known, row: Person | None, out: Outputs) -> None:
        event = known.event
        person = _welcome_in(known) if row is None else row
        if person is None:
            out.rows += (lines.event_row(event, ""), *lines.earlier_rows(event, ""))
            if isinstance(event.fact, Receipt):
                out.rows.append(receipts.receipt_row(event, False))
            return
        out.rows.append(lines.event_row(event, person.id))
        if event.route is not None:
            out.rows += lines.earlier_rows(event, person.id)
        sure = known.confidence == VERIFIED and event.trust != OWN
        if row is not None and teaches_nothing(known, row, sure):
            return
        plan = self._plans[event.tenant]
        now = event.received_at if event.received_at > person.last else person.last
        moment = Moment(plan, person, now, out, people.cuts, event, sure, known.confidence == SHARED)
        rules = rules_of(event)
        if learn(moment, known) or rules or row is None:  # a rule may change the person even where nothing was learned
            person.last = now
            people.put(known.address, person)
        for rule in rules:
            for candidate in rule(moment):
                decide(moment, candidate)

    def _link(self, people: People, known: Known, row: Person | Alias | None, out: Outputs) -> None:
        alias, handover = merge.link(known, row)
        if alias is not None:
            people.put(known.address, alias)
        if handover is not None:
            out.feedback.append(handover)

    def _publish(self, people: People, known: Known, out: Outputs) -> None:
        """Cut points are for everybody: each shard gets a copy, and the one that has made no hop is counted.

        Nobody believes a browser about them.
        """
        if known.event.trust != CLAIMED:
            people.publish(self._plans[known.event.tenant].tenant, known.event)
        if not known.hops:
            out.rows.append(lines.event_row(known.event, ""))

    # --- wakes --------------------------------------------------------------------------------------------------------

    def _answer(self, people: People, address: bytes, person: Person, time: int, out: Outputs) -> Person:
        """Let the first wake ring if it is due."""
        if person.armed and time >= person.armed:
            people.rearm(person, address, 0)
        if 0 < person.due <= time:
            person = self._ring(people, address, person, out)
        return person

    def _ring(self, people: People, address: bytes, person: Person, out: Outputs) -> Person:
        """Ring the person's first wake. One that fails is dropped, recorded, and the person stays as before it."""
        before = pack_row(person)
        heard = Outputs()
        try:
            self._wake(people, person, heard)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # the isolation wall of wakes: no record may pay for a wake that fails
            person = _without_wake(before)
            heard = Outputs(failures=[_broken_wake(address, person, error)])
        people.put(address, person)
        for name in ("intents", "feedback", "rows", "failures"):
            getattr(out, name).extend(getattr(heard, name))
        return person

    def _wake(self, people: People, person: Person, out: Outputs) -> None:
        plan, due = self._plans[person.tenant], person.due
        now = max(due, person.last)
        moment = Moment(plan, person, now, out, people.cuts)
        waiting = person.rfm_due, person.runs
        rule = rfm_transition.on_wake if person.rfm_due == due else abandoned_cart.on_wake
        for candidate in rule(moment):
            decide(moment, candidate)
        if (person.rfm_due, person.runs) == waiting:  # another wait may be for the very same time: it rings next
            raise RuntimeError(f"expected the wake of {due} to be over once it rang, but it is still to come")
        person.last = now


def _welcome_in(known: Known) -> Person | None:
    """Somebody new, or somebody handed over; a receipt makes nobody, nor does a refusal on its way to the door."""
    event = known.event
    if isinstance(event.fact, Handover):
        return merge.inherit(event.fact)
    return (
        None
        if isinstance(event.fact, Receipt | Silenced)
        else Person(known.address.hex(), event.tenant, event.event_time)
    )


def _forward(known: Known, target: bytes, out: Outputs) -> None:
    if known.hops >= MOST_HOPS:
        _fail(out, known, IDENTITY_LOOP, f"{known.hops} hops")
        return
    out.feedback.append(lines.forward(known, target))
    out.rows.append(lines.event_row(known.event, "", lines.FORWARDED))


def _fail(out: Outputs, known: Known, reason: str, detail: str) -> Outputs:
    out.failures.append(failure(lines.STAGE, known.event, reason, detail))
    if not known.link:
        out.rows.append(lines.event_row(known.event, "", lines.FAILED, reason))
        out.rows += lines.earlier_rows(known.event, "", lines.FAILED, reason)
    return out


def _without_wake(packed: bytes) -> Person:
    """The person as packed, but without the wake that was the first to ring."""
    person = unpack_row(packed)
    assert isinstance(person, Person)
    if person.rfm_due == person.due:
        person.rfm_due = 0
        return person
    runs = RUNS.read(person.runs)
    min((run for run in runs if run.due), key=lambda run: (run.due, run.campaign)).due = 0
    abandoned_cart.store(person, runs)
    return person


def _broken_wake(address: bytes, person: Person, error: Exception) -> Failure:
    return Failure(
        id=derived_id("failure", lines.STAGE, "wake", address, person.last, person.due),
        tenant=person.tenant,
        stage=lines.STAGE,
        reason="wake_failed",
        detail=type(error).__name__,
        body=b"",
        received_at=person.last,
        partition=0,
        sequence=0,
    )
