"""What happens in the shop of the crash run: people sign up, order, say something, and strangers unsubscribe."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from client import Client

KEY = "sample-server-key-not-secret"
OWED = ("confirm-address", "welcome", "order-confirmation")
"""The campaigns of which everybody gets one message."""
STRANGERS = 10


class Load(threading.Thread):
    """One person's life after the other, as long as `wanted` says; `people` is how many are acknowledged.

    It waits while `crowded`, so that no message grows old in a queue. `posting` is True while somebody waits for the
    door's answer.
    """

    def __init__(self, port: int, wanted: Callable[[], bool], crowded: Callable[[], bool]) -> None:
        super().__init__(daemon=True)
        self._port, self._wanted, self._crowded = port, wanted, crowded
        self.people = 0
        self.posting = False

    def run(self) -> None:
        client, pause = Client(self._port, KEY), threading.Event()
        while self._wanted():
            if not self._crowded():
                self.posting = True
                for path, body in life(self.people):
                    client.post(path, body)
                self.people += 1
                self.posting = False
            pause.wait(0.02)
        client.close()


def address(number: int) -> str:
    return f"p{number}@chaos.example"


def life(number: int) -> list[tuple[str, dict[str, Any]]]:
    """What one person does; every fifth says something about a brand, and meanwhile a stranger unsubscribes."""
    who = {"userId": f"c{number}"}
    joins = {"email": address(number), "marketing_opt_in": True}
    item = {"product_id": f"sku-{number % 50}", "name": "Tent", "price": 99.0, "quantity": 1}
    order = {"order_id": f"o{number}", "total": 99.0, "currency": "EUR", "products": [item]}
    leaves = {"email": f"stranger{number % STRANGERS}@chaos.example"}
    post = {"id": f"post-{number}", "text": "I love my new Fernweh tent", "source_type": "social"}
    said = [("/v1/mentions", {**post, "author": {"network": "chirp", "handle": f"fan{number}"}})]
    return [
        ("/v1/track", {**who, "messageId": f"s{number}", "event": "Signed Up", "properties": joins}),
        ("/v1/track", {**who, "messageId": f"o{number}", "event": "Order Completed", "properties": order}),
        ("/v1/track", {"anonymousId": "x", "messageId": f"u{number}", "event": "Unsubscribed", "properties": leaves}),
        *(said if number % 5 == 0 else []),
    ]
