"""What every channel promises the sender, shown against sinks that fail in every way; each fault by its number.

F45 (push tokens) has no channel yet, and F49 (the brake on a campaign) is not a channel's matter.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest
from channel_rigs import GONE, HUNG, LATER, LOST, PATIENCE, RIGS, SECRET, MailRig, RecorderRig, Rig, WebhookRig
from intents import NOON, Allowed, Given, Ticking, intent
from mail_sink import DROP
from patience import hurry, run

from schemas.codec import unpack_many
from schemas.records import DAY, HOUR, MINUTE, SECOND, Derived, Message, Receipt
from transforms.channels import Channel
from transforms.channels.letter import Letterhead
from transforms.channels.mail import NONE, Mail, Pace, Server
from transforms.deliver import Delivery
from transforms.logic.delivery import ACCEPTED, AGAIN, NEVER, SCHEDULE, Answer, horizon
from transforms.logic.delivery import Send as SendRow
from transforms.stores.lease import Lease
from transforms.stores.memory import MemoryRows
from transforms.stores.sends import Sends

Step = Callable[[Ticking, Allowed], None]
EVERY = [pytest.param(rig, id=rig.__name__.removesuffix("Rig").lower()) for rig in RIGS]
TROUBLES = [
    pytest.param(rig, trouble, id=f"{rig.__name__}-{trouble}") for rig in RIGS for trouble in sorted(rig.troubles)
]
KEEPING = [pytest.param(rig, id=rig.__name__.removesuffix("Rig").lower()) for rig in (RecorderRig, WebhookRig)]
WELL = intent("well", channel="sms", to="+48600123123")


class Delivered:
    """A delivery that has ended: what came of each key, and when attempts began."""

    def __init__(self) -> None:
        self.receipts: dict[str, Receipt] = {}
        self.began: list[int] = []
        self.alarms: dict[str, int] = {}

    @property
    def states(self) -> set[tuple[str, str]]:
        return {(each.state, each.code) for each in self.receipts.values()}


async def deliver(
    channels: Mapping[str, Channel], folder: Path, *messages: Message, until: int = 4 * DAY, step: Step | None = None
) -> Delivered:
    """Deliver messages while journal time runs from event to event; `step` may change the world at each."""
    rows, clock, allowed, lease, found = MemoryRows(), Ticking(), Allowed(), Lease(folder), Delivered()
    ways = {("shop", name): Watched(channel, clock, found.began) for name, channel in channels.items()}
    delivery = Delivery(Sends(rows), ways, allowed, clock, lease)
    given = Given(messages)
    while clock.now() < NOON + until:
        delivery.turn(given)
        if delivery._flying:
            await asyncio.wait(delivery._flying)
        elif delivery.sends.counts.taken and not delivery.sends.counts.open:
            break
        else:
            clock.pass_(20 * SECOND)
        if step:
            step(clock, allowed)
    await delivery.finish(given)
    lease.close()
    packed = rows.parts.get("receipts", [])
    facts = [derived.fact for payload, _ in packed for derived in unpack_many(payload, Derived)]
    found.receipts = {fact.key: fact for fact in facts if isinstance(fact, Receipt)}
    assert len(found.receipts) == len(facts), "each key ends once"
    found.alarms = delivery.alarms
    return found


class Watched:
    """A channel whose attempts are noted with their times."""

    def __init__(self, channel: Channel, clock: Ticking, began: list[int]) -> None:
        self._channel, self._clock, self._began = channel, clock, began
        self.sink, self.place = channel.sink, channel.place

    async def send(self, message: Message) -> Answer:
        self._began.append(self._clock.now())
        return await self._channel.send(message)

    async def close(self) -> None:
        await self._channel.close()


def told(make: Any, folder: Path, *troubles: str, **more: Any) -> tuple[Delivered, Counter[str]]:
    """Deliver one message, whose attempts meet these troubles; what came of it, and what the sink took."""

    async def whole() -> tuple[Delivered, Counter[str]]:
        async with make(folder) as rig:
            rig.tell(*troubles)
            found = await deliver({"email": rig.channel}, folder, intent(expires_at=NOON + 4 * DAY), **more)
            return found, rig.took

    return run(whole())


def on(make: Any, folder: Path, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """Do something with an open rig."""

    async def whole() -> Any:
        async with make(folder) as rig:
            return await work(rig)

    return run(whole())


# --- what every channel does ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", EVERY)
def test_what_is_accepted_has_arrived_once(make: Any, tmp_path: Path) -> None:
    async def work(rig: Rig) -> None:
        answers = await asyncio.gather(*(rig.channel.send(intent(f"p{number}")) for number in range(20)))
        assert {answer.verdict for answer in answers} == {ACCEPTED}
        assert rig.took == Counter(intent(f"p{number}").key for number in range(20))

    on(make, tmp_path, work)


@pytest.mark.parametrize(("make", "trouble"), TROUBLES)
def test_no_answer_contradicts_what_the_sink_has(make: Any, trouble: str, tmp_path: Path) -> None:
    """Surely not sent means not there; only a doubt may be either; afterwards the channel works as before."""

    async def work(rig: Rig) -> None:
        rig.tell(trouble)
        answer = await rig.channel.send(intent())
        assert answer.verdict != ACCEPTED
        assert answer.doubt or not rig.took
        assert (await rig.channel.send(intent("eve"))).verdict == ACCEPTED
        assert rig.took[intent("eve").key] == 1

    on(make, tmp_path, work)


@pytest.mark.parametrize("make", [RecorderRig, MailRig])
def test_a_body_that_is_none_is_an_answer_and_no_error(make: Any, tmp_path: Path) -> None:
    async def work(rig: Rig) -> None:
        assert (await rig.channel.send(intent(body=b"\xff{"))).verdict == NEVER
        assert not rig.took

    on(make, tmp_path, work)


@pytest.mark.parametrize("make", EVERY)
def test_no_secret_and_no_address_is_told(make: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def work(rig: Rig) -> list[Answer]:
        answers = []
        for trouble in (*sorted(rig.troubles), ""):
            rig.tell(*filter(None, [trouble]))
            answers.append(await rig.channel.send(intent()))
        assert not [each for each in (SECRET, "people.example") if each in rig.channel.place + repr(rig.channel)]
        return answers

    with caplog.at_level(logging.DEBUG):
        answers = on(make, tmp_path, work)
    ours = [record.getMessage() for record in caplog.records if record.name != "mail.log"]  # the test's own server
    said = " ".join(ours) + repr([answer.code for answer in answers])
    assert not [each for each in (SECRET, "people.example", "ana") if each in said], said


# --- the faults -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "trouble", "least"),
    [
        pytest.param(RecorderRig, LATER, SECOND, id="disk"),
        pytest.param(WebhookRig, "429 30", 30 * SECOND, id="seconds"),
        pytest.param(WebhookRig, "429 Mon, 16 Feb 2026 12:10:00 GMT", 9 * MINUTE, id="date"),
        pytest.param(WebhookRig, "429 0", SECOND, id="at-once"),
        pytest.param(WebhookRig, "429 99999999999999", 23 * HOUR, id="absurd"),
        pytest.param(MailRig, "MAIL 421 4.7.0 slow down", SECOND, id="smtp"),
    ],
)
def test_f36_a_sink_that_asks_for_time_gets_it(make: Any, trouble: str, least: int, tmp_path: Path) -> None:
    found, took = told(make, tmp_path, trouble)
    assert took == Counter([intent().key])
    first, second = found.began
    assert least <= second - first <= DAY + MINUTE


@pytest.mark.parametrize(
    ("make", "troubles"),
    [
        pytest.param(RecorderRig, [LATER] * 3, id="recorder"),
        pytest.param(WebhookRig, ["500", "502", "504", LOST, HUNG], id="webhook"),
        pytest.param(MailRig, ["RCPT 451 4.3.0 later", f"RCPT {DROP}", HUNG, "DATA 451 4.3.0 later"], id="smtp"),
    ],
)
def test_f37_a_sink_in_trouble_gets_the_message_once_it_is_well(make: Any, troubles: list[str], tmp_path: Path) -> None:
    found, took = told(make, tmp_path, *troubles)
    assert took == Counter([intent().key])
    assert {state for state, _ in found.states} == {"sent"}
    waits = [later - earlier for earlier, later in zip(found.began, found.began[1:], strict=False)]
    assert len(waits) == len(troubles)
    assert all(wait >= planned for wait, planned in zip(waits, SCHEDULE[1:], strict=False)), "no hot loop"


def test_f38_an_endpoint_that_is_gone_is_left_alone_and_told_of(tmp_path: Path) -> None:
    found, took = told(WebhookRig, tmp_path, GONE)
    assert (found.states, len(found.began), took) == ({("refused", "410")}, 1, Counter())
    assert any("endpoint is gone" in alarm for alarm in found.alarms)


@pytest.mark.parametrize("status", ["301", "302", "307", "308"])
def test_f39_a_redirect_is_not_followed(status: str, tmp_path: Path) -> None:
    async def work(rig: WebhookRig) -> None:
        rig.tell(status)
        assert await rig.channel.send(intent()) == Answer(AGAIN, status)
        assert (rig.asked, rig.took) == (["/hook"], Counter())

    on(WebhookRig, tmp_path, work)


def test_f40_a_lost_answer_doubles_nothing_where_keys_are_honoured(tmp_path: Path) -> None:
    found, took = told(WebhookRig, tmp_path, LOST)
    assert (found.states, took) == ({("sent", "200")}, Counter([intent().key]))
    assert len(found.began) == 2


def test_f40_a_lost_answer_of_a_mail_server_is_listed_and_doubles_nothing(tmp_path: Path) -> None:
    found, took = told(MailRig, tmp_path, LOST)
    assert (found.states, took) == ({("in_doubt", "broken")}, Counter([intent().key]))
    assert len(found.began) == 1


def test_f41_a_yes_along_the_way_is_no_success(tmp_path: Path) -> None:
    found, took = told(MailRig, tmp_path, "RCPT 250 2.1.5 fine", "DATA 554 5.7.1 we do not want this")
    assert (found.states, took) == ({("refused", "554 5.7.1")}, Counter())


@pytest.mark.parametrize(
    ("reply", "state", "code", "attempts"),
    [
        ("RCPT 451 4.7.1 greylisted, come back", "sent", "250", 2),
        ("RCPT 550 5.1.1 no such user", "refused", "550 5.1.1", 1),
        ("DATA 552 5.2.2 mailbox full", "refused", "552 5.2.2", 1),
        ("MAIL 421 4.3.2 shutting down", "sent", "250", 2),
    ],
)
def test_f42_a_mail_server_is_understood_by_its_code(
    reply: str, state: str, code: str, attempts: int, tmp_path: Path
) -> None:
    found, took = told(MailRig, tmp_path, reply)
    assert (found.states, len(found.began)) == ({(state, code)}, attempts)
    assert took == (Counter([intent().key]) if state == "sent" else Counter())


@pytest.mark.parametrize("heard", [0, 2])
def test_f43_a_tarpit_is_left_at_the_deadline_of_the_whole_dialogue(heard: int) -> None:
    """Each byte comes in time for any single read; all of them together do not."""

    dripping: set[int] = set()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dripping.add(id(reader))
        try:
            writer.write(b"220 tar.example\r\n" * bool(heard))
            while heard and await reader.readline():
                for byte in b"250-tar.example and much more to say before this ends\r\n" * 9:
                    writer.write(bytes([byte]))
                    await hurry(PATIENCE / 20)
            await hurry(2 * PATIENCE)
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()
            dripping.clear()

    async def whole() -> Answer:
        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        mail = Mail(Server("127.0.0.1", port, NONE), Letterhead("S", "s@shop.example"), Pace(deadline=PATIENCE))
        answer = await mail.send(intent())
        await mail.close()
        server.close()
        while dripping:
            await asyncio.sleep(0)
        return answer

    assert run(whole()) == Answer(AGAIN, "timeout", throttle=True)


def test_f44_a_mail_whose_end_is_unanswered_is_sent_again_only_where_somebody_chose_that(tmp_path: Path) -> None:
    (tmp_path / "once").mkdir()
    (tmp_path / "again").mkdir()
    left, once = told(MailRig, tmp_path / "once", LOST)
    again, twice = told(lambda folder: MailRig(folder, again=True), tmp_path / "again", LOST)
    assert (left.states, once) == ({("in_doubt", "broken")}, Counter({intent().key: 1}))
    assert (again.states, twice) == ({("sent", "250")}, Counter({intent().key: 2})), "the same Message-ID twice"


@pytest.mark.parametrize("make", EVERY)
def test_f46_who_complains_before_a_retry_gets_none(make: Any, tmp_path: Path) -> None:
    def complain(_: Ticking, allowed: Allowed) -> None:
        allowed.blocked |= set(intent().suppression)

    found, took = told(make, tmp_path, LATER, step=complain)
    assert (len(found.began), took) == (1, Counter())
    assert {code for _, code in found.states} == {"SUPPRESSED"}


@pytest.mark.parametrize("make", EVERY)
def test_f47_a_sink_that_is_down_for_six_hours_holds_up_nobody_else(make: Any, tmp_path: Path) -> None:
    async def work(rig: Rig) -> Delivered:
        async with RecorderRig(tmp_path / "other") as other:
            rig.tell(*[LATER] * 200)
            backlog = [intent(f"p{number}", expires_at=NOON + 5 * HOUR) for number in range(12)]
            found = await deliver({"email": rig.channel, "sms": other.channel}, tmp_path, *backlog, WELL)
            assert (rig.took, other.took) == (Counter(), Counter([WELL.key]))
            return found

    found = on(make, tmp_path, work)
    well = found.receipts.pop(WELL.key)
    assert (well.state, well.at - NOON < MINUTE) == ("sent", True)
    assert len(found.receipts) == 12
    assert {state for state, _ in found.states} == {"refused"}, "the backlog ends with the worth of its messages"


@pytest.mark.parametrize("make", KEEPING)
def test_f48_a_key_that_comes_with_another_body_alarms_and_is_never_renamed(make: Any, tmp_path: Path) -> None:
    async def work(rig: Rig) -> Delivered:
        assert (await rig.channel.send(intent(body=b'{"text":"what was sent before"}'))).verdict == ACCEPTED
        found = await deliver({"email": rig.channel}, tmp_path, intent())
        assert rig.took == Counter([intent().key])
        return found

    found = on(make, tmp_path, work)
    assert {state for state, _ in found.states} == {"in_doubt"}
    assert any("this is a bug" in alarm for alarm in found.alarms)


@pytest.mark.parametrize("make", EVERY)
def test_f50_no_attempt_begins_once_the_sink_may_have_forgotten_the_key(make: Any, tmp_path: Path) -> None:
    trouble = LOST if LOST in make.troubles else LATER
    found, _ = told(make, tmp_path, *[trouble] * 40, until=9 * DAY)
    row = SendRow("waiting", 0, 1, NOON, message=intent(expires_at=NOON + 4 * DAY))
    assert max(found.began) < horizon(row, _sink(make, tmp_path))
    assert {state for state, _ in found.states} == {"in_doubt" if trouble == LOST else "refused"}


def _sink(make: Any, folder: Path) -> Any:
    async def work(rig: Rig) -> Any:
        return rig.channel.sink

    return on(make, folder, work)
