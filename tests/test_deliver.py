"""Delivery over its table: turn by turn, with a clock that stands still and channels that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from intents import NOON, Allowed, Given, Ticking, intent
from msgspec.structs import replace

from schemas.codec import unpack_many
from schemas.records import DAY, HOUR, MINUTE, SECOND, Derived, Message
from transforms.channels import Channel
from transforms.deliver import Delivery
from transforms.logic.delivery import ACCEPTED, AGAIN, CONFLICT, GONE, NEVER, Answer, Sink
from transforms.stores.lease import Lease, LeaseLost
from transforms.stores.memory import MemoryRows
from transforms.stores.sends import Sends


class Obeying:
    """A channel that gives the answers it was told, then accepts; `sent` is what it was asked to send."""

    place = "test"

    def __init__(self, *answers: Answer, klass: str = "A", lanes: int = 64) -> None:
        self.sink = Sink(klass, 4 * DAY, 20_000, lanes)
        self.answers = list(answers)
        self.sent: list[Message] = []

    async def send(self, message: Message) -> Answer:
        self.sent.append(message)
        return self.answers.pop(0) if self.answers else Answer(ACCEPTED, "200")

    async def close(self) -> None:
        return None


class Asked(Obeying):
    """A channel of class B; `holds` says whether it has a key."""

    def __init__(self, *answers: Answer, holds: bool) -> None:
        super().__init__(*answers, klass="B")
        self.holds = holds

    async def ask(self, key: str) -> Answer:
        return Answer(ACCEPTED, "found") if self.holds else Answer(NEVER, "absent")


class World:
    """A sender that can be stopped, killed and started again over the same table."""

    def __init__(self, folder: Any, channel: Channel, *more: tuple[str, Channel]) -> None:
        self.folder = folder
        self.rows = MemoryRows()
        self.clock = Ticking()
        self.allowed = Allowed()
        self.intents = Given()
        self.channels = {("shop", "email"): channel, **{("shop", name): other for name, other in more}}
        self.start()

    def start(self) -> None:
        sends = Sends(self.rows)
        self.lease = Lease(self.folder, sends.counts.epoch)
        self.delivery = Delivery(sends, self.channels, self.allowed, self.clock, self.lease)

    async def go(self, turns: int = 4) -> None:
        for _ in range(turns):
            self.delivery.turn(self.intents)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    def receipts(self) -> list[Any]:
        packed = self.rows.parts.get("receipts", [])
        return [derived.fact for payload, _ in packed for derived in unpack_many(payload, Derived)]

    def states(self) -> list[tuple[str, str, int]]:
        return [(fact.state, fact.code, fact.attempt) for fact in self.receipts()]

    def adds_up(self) -> bool:
        counts = self.delivery.sends.counts
        return len(self.receipts()) == counts.sent + counts.refused + counts.in_doubt


@pytest.fixture
def world(tmp_path: Any) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(*args: Any) -> World:
        made.append(World(tmp_path, *args))
        return made[-1]

    yield make
    for one in made:
        assert one.adds_up()
        one.lease.close()


def run(world: World, *messages: Message, turns: int = 4) -> None:
    world.intents.add(*messages)
    asyncio.run(world.go(turns))


def test_an_intent_is_sent_once_and_its_receipt_handed_over(world: Any) -> None:
    channel = Obeying()
    here = world(channel)
    run(here, intent())
    assert [message.key for message in channel.sent] == [intent().key]
    assert here.states() == [("sent", "200", 1)]
    assert here.delivery.sends.counts.open == 0


def test_claim_and_mark_are_durable_before_the_attempt(world: Any) -> None:
    class Watching(Obeying):
        async def send(self, message: Message) -> Answer:
            found = Sends(here.rows).get(message.key)
            assert found is not None
            assert (found.state, found.attempts) == ("attempting", 1)
            return await super().send(message)

    channel = Watching()
    here = world(channel)
    run(here, intent())
    assert len(channel.sent) == 1


def test_a_repeated_intent_changes_nothing(world: Any) -> None:
    channel = Obeying()
    here = world(channel)
    run(here, intent(), intent())
    run(here, intent())
    assert len(channel.sent) == 1
    assert here.delivery.sends.counts.repeated == 2


def test_a_retry_carries_the_same_key_and_bytes(world: Any) -> None:
    channel = Obeying(Answer(AGAIN, "500", doubt=True))
    here = world(channel)
    run(here, intent())
    assert here.states() == []
    here.clock.pass_(6 * SECOND)
    run(here)
    assert channel.sent[0] == channel.sent[1] == intent()
    assert here.states() == [("sent", "200", 2)]


@pytest.mark.parametrize(
    ("klass", "erased", "state"),
    [
        ("marketing", False, ("refused", "SUPPRESSED", 0)),
        ("transactional", False, ("sent", "200", 1)),
        ("transactional", True, ("refused", "SUPPRESSED", 0)),
    ],
)
def test_the_last_look_reads_suppression(world: Any, klass: str, erased: bool, state: tuple[str, str, int]) -> None:
    here = world(Obeying())
    (here.allowed.erased if erased else here.allowed.blocked).update(intent().suppression)
    run(here, intent(klass=klass))
    assert here.states() == [state]


def test_who_opts_out_between_two_attempts_gets_no_second(world: Any) -> None:
    channel = Obeying(Answer(AGAIN, "429"))
    here = world(channel)
    run(here, intent())
    here.allowed.blocked.update(intent().suppression)
    here.clock.pass_(6 * SECOND)
    run(here)
    assert len(channel.sent) == 1
    assert here.states() == [("in_doubt", "SUPPRESSED", 1)]


def test_every_attempt_has_its_own_look(world: Any) -> None:
    here = world(Obeying(Answer(AGAIN, "500"), Answer(AGAIN, "500")))
    run(here, intent())
    for pause in (6 * SECOND, 6 * MINUTE):
        here.clock.pass_(pause)
        run(here)
    assert here.allowed.looks == 3


def test_nothing_leaves_while_suppression_cannot_be_read(world: Any) -> None:
    channel = Obeying()
    here = world(channel)
    here.allowed.broken = True
    run(here, intent())
    assert channel.sent == []
    assert here.delivery.alarms
    here.allowed.broken = False
    here.clock.pass_(SECOND)
    run(here)
    assert here.states() == [("sent", "200", 1)]


def test_an_expired_intent_is_refused_and_may_come_again_with_a_higher_revision(world: Any) -> None:
    channel = Obeying()
    here = world(channel)
    run(here, intent(expires_at=NOON))
    run(here, intent(revision=1))
    run(here, intent(revision=2))
    assert here.states() == [("refused", "EXPIRED", 0), ("sent", "200", 1)]


def test_one_address_gets_one_message_of_a_once_for_life_campaign(world: Any) -> None:
    channel = Obeying()
    here = world(channel)
    run(here, intent("ana", life="welcome/1/x"), intent("anna", life="welcome/1/x"))
    assert sorted(here.states()) == [("refused", "DUPLICATE", 0), ("sent", "200", 1)]
    assert len(channel.sent) == 1


def test_a_life_that_surely_got_nothing_is_free_again(world: Any) -> None:
    channel = Obeying()
    here = world(channel)
    run(here, intent("ana", life="welcome/1/x", expires_at=NOON))
    run(here, intent("anna", life="welcome/1/x"))
    assert here.states() == [("refused", "EXPIRED", 0), ("sent", "200", 1)]


def test_a_life_is_remembered_longer_than_its_send(world: Any) -> None:
    channel = Obeying()
    here = world(channel)
    message = intent(life="welcome/1/x", expires_at=0)
    run(here, message)
    here.clock.pass_(8 * DAY)
    run(here, intent("zoe", expires_at=0))
    assert here.delivery.sends.get(message.key) is None
    run(here, message)
    assert len(channel.sent) == 2
    assert here.delivery.sends.counts.repeated == 1


def test_another_body_under_the_same_key_is_a_bug_alarm_and_in_doubt(world: Any) -> None:
    here = world(Obeying(Answer(CONFLICT, "409")))
    run(here, intent())
    assert here.states() == [("in_doubt", "409", 1)]
    assert any("bug" in alarm for alarm in here.delivery.alarms)


def test_a_gone_endpoint_is_disabled_across_restarts_until_its_place_changes(world: Any) -> None:
    channel = Obeying(Answer(GONE, "410"))
    here = world(channel)
    run(here, intent("ana"))
    run(here, intent("ben"))
    here.start()
    run(here, intent("cem"))
    assert len(channel.sent) == 1
    channel.place = "elsewhere"
    here.start()
    run(here)
    assert here.states() == [("refused", "410", 1), ("sent", "200", 1), ("sent", "200", 1)]


def test_messages_for_a_disabled_endpoint_expire(world: Any) -> None:
    here = world(Obeying(Answer(GONE, "410")))
    run(here, intent("ana"))
    run(here, intent("ben"))
    here.clock.pass_(DAY)
    run(here)
    assert here.states()[-1] == ("refused", "EXPIRED", 0)


def test_a_message_without_a_way_out_is_unreachable(world: Any) -> None:
    here = world(Obeying())
    run(here, intent(channel="fax"))
    assert here.states() == [("refused", "UNREACHABLE", 0)]


def test_a_sink_that_hangs_delays_nobody_else(world: Any) -> None:
    class Hanging(Obeying):
        async def send(self, message: Message) -> Answer:
            await asyncio.Event().wait()
            raise AssertionError

    channel = Obeying()
    here = world(Hanging(lanes=4), ("push", channel))
    hung = [intent(f"p{number}") for number in range(50)]
    run(here, *hung, *(intent(f"q{number}", channel="push") for number in range(50)))
    assert len(channel.sent) == 50


def test_a_throttled_sink_is_spared_and_then_gets_everything(world: Any) -> None:
    channel = Obeying(Answer(AGAIN, "429", throttle=True, retry_after=30 * SECOND), lanes=1)
    here = world(channel)
    run(here, intent("ana"), intent("ben"), turns=6)
    assert len(channel.sent) == 1
    here.clock.pass_(31 * SECOND)
    run(here, turns=8)
    assert here.states() == [("sent", "200", 1), ("sent", "200", 2)]


def test_a_long_pause_parks_the_queue_and_lets_it_expire(world: Any) -> None:
    channel = Obeying(Answer(AGAIN, "429", throttle=True, retry_after=24 * HOUR))
    here = world(channel)
    run(here, intent("ana"))
    run(here, intent("ben", expires_at=NOON + HOUR))
    here.clock.pass_(HOUR)
    run(here)
    assert here.states() == [("refused", "exhausted", 1), ("refused", "EXPIRED", 0)]


@pytest.mark.parametrize(("klass", "states"), [("A", [("sent", "200", 2)]), ("C", [("in_doubt", "crashed", 1)])])
def test_an_attempt_that_a_crash_cut_short_is_taken_up(world: Any, klass: str, states: list[Any]) -> None:
    channel = Obeying(klass=klass)
    here = world(channel)
    here.intents.add(intent())

    async def dies() -> None:
        here.delivery.turn(here.intents)

    asyncio.run(dies())
    here.start()
    run(here)
    assert here.states() == states


@pytest.mark.parametrize(("holds", "attempts"), [(True, 0), (False, 1)])
def test_a_sink_that_can_be_asked_is_asked_before_a_doubtful_send_goes_again(
    world: Any, holds: bool, attempts: int
) -> None:
    channel = Asked(holds=holds)
    here = world(channel)
    here.intents.add(intent())

    async def dies() -> None:
        here.delivery.turn(here.intents)

    asyncio.run(dies())
    here.start()
    channel.sent.clear()
    run(here)
    assert len(channel.sent) == attempts
    assert [state for state, _, _ in here.states()] == ["sent"]


def test_what_waits_survives_a_restart(world: Any) -> None:
    channel = Obeying(Answer(AGAIN, "500"))
    here = world(channel)
    run(here, intent())
    here.start()
    here.clock.pass_(6 * SECOND)
    run(here)
    assert here.states() == [("sent", "200", 2)]


def test_a_paused_sender_that_was_followed_begins_nothing(world: Any, tmp_path: Any) -> None:
    channel = Obeying()
    here = world(channel)
    follower = Lease(tmp_path)
    here.intents.add(intent())
    with pytest.raises(LeaseLost, match="another sender took over"):
        asyncio.run(here.go())
    assert channel.sent == []
    follower.close()


def test_a_full_disk_stops_attempts_and_loses_nothing(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = Obeying()
    here = world(channel)
    commit = here.rows.commit

    def full(change: Any) -> None:
        raise OSError(28, "No space left on device")

    here.intents.add(intent())
    monkeypatch.setattr(here.rows, "commit", full)
    with pytest.raises(OSError, match="No space"):
        asyncio.run(here.go(1))
    assert channel.sent == []
    monkeypatch.setattr(here.rows, "commit", commit)
    run(here)
    assert here.states() == [("sent", "200", 1)]


def test_an_ended_send_keeps_no_message_and_goes_after_a_week(world: Any) -> None:
    here = world(Obeying())
    run(here, intent())
    ended = here.delivery.sends.get(intent().key)
    assert ended is not None
    assert ended.message is None
    here.clock.pass_(8 * DAY)
    run(here, replace(intent("ben"), expires_at=0))
    assert here.delivery.sends.get(intent().key) is None


def test_hundreds_of_intents_take_a_handful_of_commits(world: Any) -> None:
    channel = Obeying(lanes=2000)
    here = world(channel)
    run(here, *(intent(f"p{number}") for number in range(400)), turns=3)
    assert len(channel.sent) == 400
    assert here.delivery.sends.counts.high == 400
    run(here, *(intent(f"q{number}") for number in range(100)), turns=4)
    assert here.delivery.sends.counts.high == 400
