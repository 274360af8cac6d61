"""What Redis costs a batch: reads and writes of 1, 100 and 1,000 keys, and a sender's turn, against a real server.

    python tests/bench/bench_redis.py

Rows of 500 bytes over loopback, client and server on the same machine. Client CPU, wall time in the middle and at the
99th percentile; figures as JSON in build/bench-redis.json.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(HERE.parent / "support")]

from intents import NOON, intent  # noqa: E402
from redis_server import RedisServer  # noqa: E402

from schemas.records import DAY  # noqa: E402
from transforms.logic.delivery import Answer, Sink, begin, settle  # noqa: E402
from transforms.logic.suppress import Change  # noqa: E402
from transforms.stores.redis import Redis, declare, running  # noqa: E402
from transforms.stores.redis_latest import RedisRows  # noqa: E402
from transforms.stores.redis_lease import RedisLease  # noqa: E402
from transforms.stores.redis_limits import RedisLimits  # noqa: E402
from transforms.stores.redis_sends import RedisSends  # noqa: E402
from transforms.stores.redis_suppression import RedisSuppressions, RedisSuppressionView  # noqa: E402

SIZES = (1, 100, 1000)
PEOPLE = 20_000
ROW = random.Random(1).randbytes(500)
SINK = Sink("A", 4 * DAY, 20_000, rate=1e9, burst=1e9)
Figures = dict[str, float]


def measure(size: int, work: Callable[[list[int]], object]) -> Figures:
    """Figures of `work` on `size` people drawn evenly, over about 20,000 keys in all (at most 2,000 batches)."""
    chance, walls = random.Random(2), []
    turns = max(30, min(2000, PEOPLE // size))
    cpu = time.process_time()
    for _ in range(turns):
        people = chance.sample(range(PEOPLE), size)
        began = time.perf_counter()
        work(people)
        walls.append(time.perf_counter() - began)
    cpu = time.process_time() - cpu
    walls.sort()
    return {
        "batch_p50_ms": 1e3 * walls[len(walls) // 2],
        "batch_p99_ms": 1e3 * walls[len(walls) * 99 // 100],
        "cpu_us_a_key": 1e6 * cpu / turns / size,
        "keys_a_s": size * turns / sum(walls),
    }


def cases(server: Redis) -> dict[str, Callable[[list[int]], object]]:
    """What is measured, by name."""
    rows, sequence = RedisRows(server, "people"), iter(range(1, 1 << 40))
    door, view = RedisSuppressions(server), RedisSuppressionView(server)
    messages = [intent(f"p{person}") for person in range(PEOPLE)]
    key = [b"%d" % person for person in range(PEOPLE)]
    plain = [server.key(b"plain/" + each) for each in key]
    return {
        "MSET": lambda people: server.call("MSET", *(part for each in people for part in (plain[each], ROW))),
        "MGET": lambda people: server.call("MGET", *(plain[each] for each in people)),
        "newest rows, write": lambda people: rows.write({key[each]: (next(sequence), ROW) for each in people}),
        "newest rows, read": lambda people: rows.read([key[each] for each in people]),
        "suppression, write": lambda people: door.write(
            [Change(messages[each].suppression[0], next(sequence)) for each in people]
        ),
        "suppression, last look": lambda people: view.refuse([messages[each] for each in people]),
    }


class Turns:
    """A sender's turns: claim a batch, ask for its share of the rate, mark, last look, end; all commits in Redis."""

    def __init__(self, server: Redis) -> None:
        lease = RedisLease(server, 3600.0)
        self.sends, self.limits, self.view = (
            RedisSends(server, lease),
            RedisLimits(server),
            RedisSuppressionView(server),
        )
        self._number = 0

    def __call__(self, people: list[int]) -> None:
        self._number += 1
        messages = {each.key: each for each in (intent(f"p{person}", trigger=f"t{self._number}") for person in people)}
        opened = self.sends.admit(messages.values(), NOON)
        self.limits.grant({("shop", "email"): (len(opened), SINK)})
        for key, send in opened:
            self.sends.put(key, begin(send, NOON))
        self.sends.commit(NOON, b"%d" % self._number)
        self.view.refuse(list(messages.values()))
        for key, send in opened:
            self.sends.end(key, messages[key], settle(begin(send, NOON), Answer("accepted"), SINK, NOON))
        self.sends.commit(NOON, b"%d." % self._number)
        self.sends.told(self.sends.receipts(2 * len(opened)))


def main() -> None:
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as one:
        server = Redis(one.url, timeout=5.0)
        declare(server, running(server)[0])
        for name, work in (*cases(server).items(), ("a sender's turn", Turns(server))):
            for size in SIZES:
                found[f"{name}, {size}"] = figures = measure(size, work)
                print(
                    f"{name + ', ' + str(size):<30} p50 {figures['batch_p50_ms']:8.2f} ms   p99 "
                    f"{figures['batch_p99_ms']:8.2f} ms   {figures['cpu_us_a_key']:7.1f} µs CPU a key   "
                    f"{figures['keys_a_s']:9,.0f} keys/s",
                    flush=True,
                )
        memory = int(one.ask("MEMORY", "USAGE", server.key("send/" + intent("p1", trigger="t1").key)) or 0)
        found["memory"] = {"bytes_an_ended_send": memory, "load": os.getloadavg()[0]}
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "bench-redis.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
