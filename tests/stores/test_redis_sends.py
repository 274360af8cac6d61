"""Several senders over one table in Redis: fencing, takeovers, lost answers, shared rates. Time stands where it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from intents import NOON, intent
from redis_server import RedisServer

from schemas.records import DAY
from transforms.logic.delivery import ATTEMPTING, Answer, Sink, begin, settle
from transforms.stores.lease import LeaseLost
from transforms.stores.redis import Redis, Script, declare, running
from transforms.stores.redis_errors import RedisDown, RedisFull, RedisUnready
from transforms.stores.redis_lease import RedisLease
from transforms.stores.redis_limits import RedisLimits
from transforms.stores.redis_sends import RedisSends

SINK = Sink("A", 4 * DAY, 20_000, rate=50.0, burst=20.0)
WAY = ("shop", "email")
_prefixes = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as one:
        yield one


class Forgetful(Redis):
    """Loses answers on their way back: the server has done what it was asked, nobody hears of it."""

    lose = False

    def run(self, script: Script, *args: Any) -> Any:
        answer = super().run(script, *args)
        if self.lose:
            self.lose = False
            raise RedisDown("the answer was lost")
        return answer


class Sender:
    """One sender's table; `dies` lets its lease end without a word."""

    def __init__(self, url: str, prefix: str) -> None:
        self.server = Forgetful(url, prefix, timeout=5.0)
        self.lease = RedisLease(self.server)
        self.sends = RedisSends(self.server, self.lease)

    def dies(self) -> None:
        self.server.call("DEL", self.server.key(f"lease/{self.lease.name}"))

    def claims(self, *who: str) -> list[str]:
        return [key for key, _ in self.sends.admit([intent(each) for each in who], NOON)]

    def ends(self, who: str) -> None:
        send = self.sends.get(intent(who).key)
        assert send
        self.sends.end(intent(who).key, intent(who), settle(begin(send, NOON), Answer("accepted"), SINK, NOON))

    def beat(self) -> list[str]:
        """What a turn finds after the lease wants renewal."""
        self.lease._renewed_at -= self.lease.ttl / 3
        return [key for key, _ in self.sends.orphans()]


@pytest.fixture
def hire(server: RedisServer) -> Iterator[Callable[[], Sender]]:
    prefix, hired = f"h{next(_prefixes)}", list[Sender]()

    def one() -> Sender:
        if not hired:
            first = Redis(server.url, prefix, timeout=5.0)
            declare(first, running(first)[0])
            first.close()
        hired.append(Sender(server.url, prefix))
        return hired[-1]

    yield one
    for each in hired:
        each.server.close()


def keys(*who: str) -> set[str]:
    return {intent(each).key for each in who}


def test_f5_each_key_is_the_work_of_one_sender(hire: Callable[[], Sender]) -> None:
    ana, ben = hire(), hire()
    assert set(ana.claims("a", "b")) == keys("a", "b")
    assert set(ben.claims("a", "b", "c")) == keys("c")
    assert ben.beat() == ana.beat() == []


def test_a_claim_that_another_made_in_between_is_decided_again(
    hire: Callable[[], Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, ben = hire(), hire()
    rows_of, first = ana.sends._rows_of, [True]

    def slowly(batch: Any) -> Any:
        rows = rows_of(batch)
        if first.pop() if first else False:
            assert set(ben.claims("a")) == keys("a")
        return rows

    monkeypatch.setattr(ana.sends, "_rows_of", slowly)
    assert set(ana.claims("a", "a", "b", "b")) == keys("b")
    for each in (ben, ana):
        each.sends.commit(NOON, b"1")
    counts = ana.sends.counts
    assert (counts.taken, counts.repeated) == (2, 3)


def test_f4_what_a_dead_sender_claimed_is_taken_over_once(hire: Callable[[], Sender]) -> None:
    dead, ben, cem = hire(), hire(), hire()
    dead.claims("a", "b")
    send = dead.sends.get(intent("a").key)
    assert send
    dead.sends.put(intent("a").key, begin(send, NOON))
    dead.sends.commit(NOON, b"")
    dead.dies()
    taken = dict(ben.sends.orphans())
    assert {key: send.state for key, send in taken.items()} == {
        intent("a").key: ATTEMPTING,
        intent("b").key: "claimed",
    }
    assert cem.beat() == []
    assert ben.beat() == []


def test_f5_a_sender_whose_lease_ended_can_write_down_nothing(hire: Callable[[], Sender]) -> None:
    late, ben = hire(), hire()
    late.claims("a", "b")
    late.dies()
    assert set(ben.beat()) == keys("a", "b")
    ben.ends("a")
    ben.sends.commit(NOON, b"")
    late.ends("a")
    with pytest.raises(LeaseLost, match="another sender took over"):
        late.sends.commit(NOON, b"")
    with pytest.raises(LeaseLost):
        late.claims("c")
    assert ben.sends.counts.sent == 1


def test_receipts_of_a_dead_sender_are_handed_on_by_its_follower(hire: Callable[[], Sender]) -> None:
    dead, ben = hire(), hire()
    dead.claims("a", "b")
    dead.ends("a")
    dead.sends.commit(NOON, b"")
    dead.dies()
    ben.beat()
    told = ben.sends.receipts()
    assert [each.cause for each in told] == [intent("a").key]
    ben.sends.told(told)
    ben.sends.told(told)
    assert ben.sends.receipts() == []


def test_f31_a_commit_whose_answer_was_lost_counts_once(hire: Callable[[], Sender]) -> None:
    ana = hire()
    ana.claims("a", "b")
    ana.ends("a")
    ana.server.lose = True
    with pytest.raises(RedisDown):
        ana.sends.commit(NOON, b"1")
    assert ana.sends.dirty
    ana.ends("b")
    ana.sends.commit(NOON, b"2")
    counts = ana.sends.counts
    assert (counts.taken, counts.sent, counts.open) == (2, 2, 0)
    assert len(ana.sends.receipts()) == 2


def test_a_turn_larger_than_one_script_is_committed_in_parts_each_once(hire: Callable[[], Sender]) -> None:
    ana = hire()
    who = [f"p{number}" for number in range(700)]
    ana.claims(*who)
    for each in who:
        ana.ends(each)
    ana.server.lose = True
    with pytest.raises(RedisDown):
        ana.sends.commit(NOON, b"1")
    ana.claims(*who)
    ana.sends.commit(NOON, b"2")
    counts = ana.sends.counts
    assert (counts.taken, counts.sent, counts.repeated, counts.open) == (700, 700, 700, 0)
    assert len({each.id for each in ana.sends.receipts(700)}) == 700
    assert hire().sends.position == b"2"


def test_f31_claims_whose_answer_was_lost_are_found_again(hire: Callable[[], Sender]) -> None:
    ana = hire()
    ana.server.lose = True
    with pytest.raises(RedisDown):
        ana.claims("a", "b")
    assert set(ana.claims("a", "b", "c")) == keys("a", "b", "c")
    ana.server.lose = True
    with pytest.raises(RedisDown):
        ana.claims("d")
    assert set(ana.beat()) == keys("d")
    assert ana.beat() == []
    ana.ends("d")
    ana.sends.commit(NOON, b"")
    assert ana.sends.counts.taken == 4


def test_f31_a_takeover_whose_answer_was_lost_is_found_again(hire: Callable[[], Sender]) -> None:
    dead, ben = hire(), hire()
    dead.claims("a", "b")
    dead.dies()
    ben.server.lose = True
    with pytest.raises(RedisDown):
        ben.beat()
    assert set(ben.beat()) == keys("a", "b")


def test_f29_in_an_emptied_redis_nothing_is_claimed_until_it_is_rebuilt(
    hire: Callable[[], Sender], server: RedisServer
) -> None:
    ana = hire()
    ana.claims("a")
    server.ask("FLUSHALL")
    with pytest.raises(RedisUnready):
        ana.claims("b")
    ana.ends("a")
    with pytest.raises(RedisUnready):
        ana.sends.commit(NOON, b"")
    declare(ana.server, running(ana.server)[0])
    with pytest.raises(LeaseLost):
        ana.sends.commit(NOON, b"")


def test_a_lease_is_never_given_twice_not_even_by_an_emptied_redis(
    hire: Callable[[], Sender], server: RedisServer
) -> None:
    epochs = [hire().lease.epoch for _ in range(3)]
    server.ask("FLUSHALL")
    epochs.append(hire().lease.epoch)
    assert epochs == sorted(set(epochs))


def test_f27_a_full_redis_keeps_what_is_staged(hire: Callable[[], Sender], server: RedisServer) -> None:
    ana = hire()
    ana.claims("a")
    ana.ends("a")
    server.ask("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(RedisFull):
            ana.sends.commit(NOON, b"")
        with pytest.raises(RedisFull):
            ana.claims("b")
    finally:
        server.ask("CONFIG", "SET", "maxmemory", "0")
    ana.sends.commit(NOON, b"")
    assert ana.sends.counts.sent == 1
    assert set(ana.claims("b")) == keys("b")


def test_an_ended_send_goes_after_a_week_and_an_open_one_never(hire: Callable[[], Sender]) -> None:
    ana = hire()
    ana.claims("a", "b")
    ana.ends("a")
    ana.sends.commit(NOON, b"")
    left = [ana.server.call("PTTL", ana.server.key(f"send/{intent(who).key}")) for who in "ab"]
    assert 0 <= 7 * DAY // 1000 - left[0] < 60_000
    assert left[1] == -1


def test_two_senders_share_the_rate_of_a_sink(hire: Callable[[], Sender]) -> None:
    limits = [RedisLimits(hire().server) for _ in range(2)]
    granted = [each.grant({WAY: (15, SINK)})[WAY] for each in limits]
    assert granted[0] == 15
    assert 5 <= granted[1] <= 6, "the burst is 20 for both together (and a moment has passed)"


def test_a_bucket_fills_at_the_rate_of_its_sink(hire: Callable[[], Sender]) -> None:
    server = hire().server
    limits = RedisLimits(server)
    begin_at = int(server.call("TIME")[0]) * 10**6 + int(server.call("TIME")[1])
    granted = sum(limits.grant({WAY: (7, SINK), ("shop", "push"): (1, SINK)})[WAY] for _ in range(300))
    seconds = (int(server.call("TIME")[0]) * 10**6 + int(server.call("TIME")[1]) - begin_at) / 1e6
    assert granted <= SINK.burst + SINK.rate * seconds + 1
    assert granted >= SINK.burst
