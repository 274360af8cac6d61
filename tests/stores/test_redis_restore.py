"""A lost table of sends: what was sent is not sent again, what may have been is tried again or in doubt, as always."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from intents import NOON, Given, intent
from redis_server import RedisServer

from schemas.records import DAY, SECOND, Message, Receipt
from transforms.logic.delivery import ATTEMPTING, IN_DOUBT, Send, Sink, recover
from transforms.stores.redis import Redis, declare, running
from transforms.stores.redis_lease import RedisLease
from transforms.stores.redis_restore import Restoring, RestoringIntents
from transforms.stores.redis_sends import RedisSends

_prefixes = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as one:
        yield one


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Redis]:
    here = Redis(server.url, f"r{next(_prefixes)}", timeout=5.0)
    declare(here, running(here)[0])
    yield here
    here.close()


def receipt(message: Message, state: str = "sent", revision: int = 0) -> Receipt:
    return Receipt(message.key, state, NOON, "email", "200", 1, revision)


def begins(redis: Redis, messages: list[Message], receipts: list[Receipt]) -> tuple[list[str], dict[str, Send]]:
    """What a sender that starts over a lost table claims as new, and what it takes up."""
    restoring = Restoring(redis)
    if restoring.needed:
        restoring.from_receipts(receipts, NOON + SECOND)
    assert not Restoring(redis).needed
    sends = RedisSends(redis, RedisLease(redis))
    intents = RestoringIntents(Given(messages), restoring)
    claimed = [key for key, _ in sends.admit(intents.read(), NOON)]
    return claimed, dict(sends.orphans())


def test_a_new_table_has_nothing_to_put_back(redis: Redis) -> None:
    assert begins(redis, [intent()], []) == ([intent().key], {})


def test_f29_what_has_a_receipt_is_over_and_what_has_none_was_cut_short(redis: Redis) -> None:
    sent, refused, open_, later = intent("a"), intent("b"), intent("c"), intent("d", decided_at=NOON + 2 * SECOND)
    told = [receipt(sent), receipt(refused, "refused"), receipt(sent, "opened")]
    claimed, taken = begins(redis, [sent, refused, open_, later], told)
    assert claimed == [later.key]
    assert {key: send.state for key, send in taken.items()} == {open_.key: ATTEMPTING}
    assert recover(taken[open_.key], Sink("A", 4 * DAY, 20_000), NOON + SECOND).state == "waiting"
    assert recover(taken[open_.key], Sink("C", 4 * DAY, 20_000), NOON + SECOND).state == IN_DOUBT


def test_the_last_receipt_of_a_key_counts(redis: Redis) -> None:
    told = [receipt(intent(), "sent", 2), receipt(intent(), "refused", 1)]
    assert begins(redis, [intent(revision=3)], told) == ([], {})


def test_a_life_that_was_claimed_before_the_loss_is_claimed_again(redis: Redis) -> None:
    ana, anna = intent("ana", life="welcome/1/x"), intent("anna", life="welcome/1/x", decided_at=NOON + 2 * SECOND)
    claimed, _ = begins(redis, [ana], [receipt(ana)])
    assert claimed == []
    assert begins(redis, [anna], []) == ([], {})


def test_f30_a_table_that_is_there_is_left_alone(redis: Redis) -> None:
    begins(redis, [intent("a")], [])
    claimed, taken = begins(redis, [intent("a"), intent("b")], [receipt(intent("b"))])
    assert claimed == [intent("b").key], "nothing was lost: no receipt is asked for"
    assert taken == {}
