"""The reference job as a person in a hurry would write it: one loop, orjson, everything in memory, nothing kept.

It parses and validates, keeps what is broken aside, looks up the profile of each event, keeps a cart a customer,
welcomes on sign-up, reminds after 30 minutes without activity or purchase (events come up to ten seconds out of order),
checks permission, renders in one of four languages, writes JSON lines.
No duplicates, no identity, no ledger, no disk: the yardstick below which a stream processor should not fall far.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import datetime
from typing import IO, Any

import orjson

IDLE, LATE = 30 * 60.0, 10.0
WELCOME = {
    "en": "Welcome, {name}! Glad that you are here.",
    "pl": "Witaj, {name}! Cieszymy się, że jesteś.",
    "de": "Willkommen, {name}! Schön, dass du da bist.",
    "ru": "Добро пожаловать, {name}! Рады вас видеть.",
}
REMINDER = {
    "en": "{name}, {count} things are waiting in your cart.",
    "pl": "{name}, w koszyku czeka {count} rzeczy.",
    "de": "{name}, {count} Dinge warten in deinem Warenkorb.",
    "ru": "{name}, {count} товаров ждут в корзине.",
}


def run(lines: Iterable[bytes], profiles: dict[str, dict[str, Any]], out: IO[bytes]) -> tuple[int, int]:
    """Messages written and lines refused; both are lines of `out`."""
    carts: dict[str, tuple[float, list[str]]] = {}
    due: list[tuple[float, str]] = []
    sent = refused = 0
    time = 0.0

    def say(kind: str, profile: dict[str, Any] | None, texts: dict[str, str], count: int) -> int:
        if profile is None or not profile["consent"]:
            return 0
        text = texts[profile["language"]].format(name=profile["name"], count=count)
        out.write(orjson.dumps({"kind": kind, "to": profile["email"], "text": text}) + b"\n")
        return 1

    for line in lines:
        try:
            event = orjson.loads(line)
            person, name, now = event["userId"], event["messageId"], when(event["timestamp"])
            kind = event.get("event", event["type"])
            properties = event.get("properties", {})
            if not (isinstance(person, str) and isinstance(name, str) and isinstance(kind, str)):
                raise ValueError("expected userId, messageId and event as texts")
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            refused += 1
            out.write(orjson.dumps({"error": str(error), "line": line.decode(errors="replace")}) + b"\n")
            continue
        profile = profiles.get(person)
        time = max(time, now)
        while due and due[0][0] + LATE <= time:
            at, who = heapq.heappop(due)
            last, items = carts.get(who, (0.0, []))
            if items and last + IDLE <= at:
                sent += say("abandoned", profiles.get(who), REMINDER, len(items))
                del carts[who]
            elif items:
                heapq.heappush(due, (last + IDLE, who))
        if kind == "Signed Up":
            sent += say("welcome", profile, WELCOME, 0)
        elif kind == "Order Completed":
            carts.pop(person, None)
        elif kind == "Product Added":
            cart = carts.get(person)
            if cart is None:
                heapq.heappush(due, (now + IDLE, person))
                carts[person] = (now, [properties["product_id"]])
            else:
                cart[1].append(properties["product_id"])
                carts[person] = (max(now, cart[0]), cart[1])
        elif person in carts:
            last, items = carts[person]
            carts[person] = (max(now, last), items)
    return sent, refused


def when(text: str) -> float:
    """Seconds since 1970 of an ISO time."""
    return datetime.fromisoformat(text).timestamp()
