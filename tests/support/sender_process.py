"""A sender as a process of its own, to be killed: python sender_process.py DATA PORT ORDER

It delivers to a webhook on loopback until the file DATA/stop appears and nothing is open. ORDER is `right`, or `wrong`
for a sender that writes down the outcome before it sends, which a crash test must catch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from shop import shop

from pipelines import sender
from pipelines.config import Config
from schemas.workspace import Sink, Workspace
from transforms.deliver import Delivery
from transforms.logic.delivery import ACCEPTED, Answer, settle
from transforms.stores import faults


class Hasty(Delivery):
    """Says that a message was sent, and then sends it."""

    def _mark(self, now: int) -> None:
        super()._mark(now)
        self._promised = []
        for key in self._going:
            send = self.sends.get(key)
            assert send
            assert send.message
            self._promised.append(send)
            self.lanes[send.message.tenant, send.message.channel].landed()
            self._keep(key, send.message, settle(send, Answer(ACCEPTED, "200"), self._sink(send), now))

    def _launch(self) -> None:
        if self._going:
            faults.here("sender.after_claim")
        self._going = []
        self._start([(send.message.key, send) for send in self._promised])

    def _settle(self, *_: Any) -> None:
        """What an attempt brings is of no interest any more: what came of it was written down before."""

    def _sink(self, send: Any) -> Any:
        return self.lanes[send.message.tenant, send.message.channel].sink


def main(data: str, port: str, order: str) -> None:
    from msgspec.structs import replace

    sinks = {"email": Sink("webhook", f"http://127.0.0.1:{port}/hook", "secret://test", allow_private=True)}
    sender.load = lambda _: Workspace({"shop": replace(shop(), sinks=sinks)}, "test")
    if order == "wrong":
        sender.Delivery = Hasty
    sender.run(Config(Path(data), Path(data)), (Path(data) / "stop").exists)


if __name__ == "__main__":
    main(*sys.argv[1:])
