"""How long a welcome takes: from just before the HTTP request to the moment a webhook sink has accepted it.

All five processes run as a shop would run them, in real time, on this machine; the load generator and the sink share
one more process. `backlog` posts are put into the listen lane first.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "support")]

import msgspec  # noqa: E402
from chaos import Chaos, Victim  # noqa: E402
from client import Client  # noqa: E402
from webhook_sink import Sink  # noqa: E402

from pipelines.together import commands  # noqa: E402

KEY = "sample-server-key-not-secret"
EVERY = 20
POSTS_A_REQUEST = 500


def measure(seconds: float = 20.0, rate: int = 1000, backlog: int = 0) -> dict[str, float]:
    """p50 and p99 in milliseconds of the welcomes of `seconds` at `rate` events a second."""
    folder = Path(tempfile.mkdtemp(prefix="rapport-bench-"))
    with Sink() as sink:
        chaos = Chaos(folder, sink)
        lines = commands(chaos.config)
        processes = [Victim(name, line, [], chaos) for name, line in lines.items()]
        for process in processes:
            process.start()
        client = Client(chaos.port, KEY)
        client.post("/v1/track", view(-1))
        if backlog:
            fill(client, backlog)
        threading.Event().wait(2.0)
        sent = drive(client, seconds, rate)
        given_up = time.monotonic() + 30
        while len(welcomes(sink)) < len(sent) and time.monotonic() < given_up:
            threading.Event().wait(0.1)
        left = behind(chaos.config.data) if backlog else 0
        for process in processes:
            process.stop()
        arrived = welcomes(sink)
    shutil.rmtree(folder)
    waits = sorted((arrived[to] - at) * 1000 for to, at in sent.items() if to in arrived)
    return {
        "welcomes": len(waits),
        "missing": len(sent) - len(waits),
        "p50_ms": waits[len(waits) // 2],
        "p99_ms": waits[int(len(waits) * 0.99)],
        "max_ms": waits[-1],
        "events_per_s": rate,
        "backlog_left": left,
    }


def drive(client: Client, seconds: float, rate: int) -> dict[str, float]:
    """Post events at a pace, one sign-up alone for every 19 others in a batch; when each sign-up left, by address."""
    sent: dict[str, float] = {}
    began, number = time.time(), 0
    while (now := time.time()) < began + seconds:
        if number > (now - began) * rate:
            threading.Event().wait(0.001)
            continue
        person = f"w{number}"
        sent[f"{person}@bench.example"] = time.time()
        client.post("/v1/track", sign_up(person))
        client.post("/v1/batch", {"batch": [view(n) for n in range(number + 1, number + EVERY)]})
        number += EVERY
    return sent


def fill(client: Client, posts: int) -> None:
    """Put posts into the listen lane faster than it can read them."""
    for first in range(0, posts, POSTS_A_REQUEST):
        client.post("/v1/mentions", {"mentions": [post(n) for n in range(first, first + POSTS_A_REQUEST)]})


def post(number: int) -> dict[str, object]:
    text = f"My Fernweh tent number {number} is great"
    return {"id": f"b{number}", "text": text, "author": {"network": "chirp", "handle": f"f{number}"}}


def behind(data: Path) -> int:
    """How many microseconds of journal time the listen lane is behind."""
    file = data / "status" / "listen.json"
    return int(json.loads(file.read_bytes()).get("lag", 0)) if file.exists() else 0


def view(number: int) -> dict[str, object]:
    return {
        "type": "track",
        "event": "Product Viewed",
        "messageId": f"v{number}",
        "userId": f"c{number % 20000}",
        "properties": {"product_id": f"sku-{number % 500}", "name": "Tent", "price": 99.0},
    }


def sign_up(person: str) -> dict[str, object]:
    properties = {"email": f"{person}@bench.example", "marketing_opt_in": True}
    return {"event": "Signed Up", "messageId": person, "userId": person, "properties": properties}


def welcomes(sink: Sink) -> dict[str, float]:
    """When each welcome was accepted, by address."""
    found = ((key, msgspec.json.decode(body)["data"]) for key, body in list(sink.accepted.items()))
    return {data["to"]: sink.at[key] for key, data in found if data["campaign"] == "welcome"}


if __name__ == "__main__":
    print(json.dumps(measure(*(float(argument) for argument in sys.argv[1:2])), indent=2))
