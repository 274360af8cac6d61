"""Delivery: claims intents, looks a last time, makes attempts, and writes down what came of them.

One turn is one commit: outcomes that have arrived, claims of new intents, and the marks of the attempts to begin. Only
then do those attempts begin, each after its last look. So whatever a crash cuts short stands in the table.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

from msgspec.structs import replace

from schemas.records import SECOND, Message
from transforms.channels import Askable, Channel
from transforms.logic.delivery import (
    ACCEPTED,
    AGAIN,
    ATTEMPTING,
    CONFLICT,
    GONE,
    NEVER,
    Answer,
    Send,
    begin,
    look,
    recover,
    settle,
    stop,
    withdraw,
)
from transforms.logic.lanes import Lane
from transforms.stores import faults
from transforms.surroundings import ALONE, Clock, Intents, Lease, Limits, Sends, Suppression, Way

POINTS = ("sender.before_claim", "sender.after_claim", "sender.after_send", "sender.after_outcome")
CLOSED = "closed"
UNSURE = "unsure"
SHORT_PAUSE = 60 * SECOND

log = logging.getLogger("rapport.sender")


class Delivery:
    """The sender's work over its table, channels and clock; `turn` again and again, then `finish`."""

    def __init__(
        self,
        sends: Sends,
        channels: Mapping[Way, Channel],
        suppression: Suppression,
        clock: Clock,
        lease: Lease,
        limits: Limits = ALONE,
    ) -> None:
        self.sends = sends
        self.channels = channels
        self.limits = limits
        self._suppression = suppression
        self.clock = clock
        self.lease = lease
        self.lanes = {way: Lane(channel.sink, clock.speed) for way, channel in channels.items()}
        self.alarms: dict[str, int] = {}
        self.latencies: deque[int] = deque(maxlen=1000)
        self.ended: Counter[str] = Counter()
        self._agenda: list[tuple[int, str]] = []
        self._landed: deque[tuple[str, Answer, int]] = deque()
        self._going: list[str] = []
        self._read: list[Message] = []
        self._flying: set[asyncio.Task[None]] = set()
        sends.take_epoch(lease.epoch)
        for way, lane in self.lanes.items():
            lane.disabled = sends.marked(_off(way)) == channels[way].place.encode()

    # --- one turn -----------------------------------------------------------------------------------------------------

    def turn(self, intents: Intents) -> bool:
        """Do what there is to do now, in one commit; False if there was nothing. Raises LeaseLost, OSError."""
        now = self.clock.now()
        landed = self._land()
        self._take_up(now)
        self._admit(intents, now)
        self._ring(now)
        self._mark(now)
        if not self.sends.dirty:
            return False
        if self._going:
            faults.here("sender.before_claim")
        self.lease.check()
        self.sends.commit(now, intents.position())
        intents.settled()
        if landed:
            faults.here("sender.after_outcome")
        self._launch()
        return True

    async def finish(self, intents: Intents) -> None:
        """Let the attempts in the air end and write down what came of them; nothing new begins."""
        while self._flying:
            await asyncio.wait(self._flying, timeout=1.0)
            self.lease.keep()
        now = self.clock.now()
        self._land()
        if self.sends.dirty:
            self.lease.check()
            self.sends.commit(now, self.sends.position if self._read else intents.position())

    async def drop(self) -> None:
        """Break off the attempts in the air; whoever has the lease next finds them in the table as cut short."""
        for task in self._flying:
            task.cancel()
        await asyncio.gather(*self._flying, return_exceptions=True)

    # --- before an attempt --------------------------------------------------------------------------------------------

    def _take_up(self, now: int) -> None:
        """What a sender that is no more has left: attempts that its end cut short, and everything that waits."""
        for key, send in self.sends.orphans():
            message = _message(send)
            if send.state == ATTEMPTING and (message.tenant, message.channel) in self.channels:
                send = recover(send, self.channels[message.tenant, message.channel].sink, now)
                self._keep(key, message, send)
            else:
                self._at(max(send.due, now), key)

    def _admit(self, intents: Intents, now: int) -> None:
        """Claim new intents; those that the table could not take (OSError) come first next time."""
        self._read = self._read or intents.read()
        opened = self.sends.admit(self._read, now)
        self._read = []
        for key, send in opened:
            self._route(key, send, now)

    def _route(self, key: str, send: Send, now: int) -> None:
        """Queue a send whose time has come, or end it, or wait until its sink takes messages again."""
        message = _message(send)
        lane = self.lanes.get((message.tenant, message.channel))
        if lane is None:
            self._end(key, message, stop(send, "UNREACHABLE", now))
        elif reason := look(message, False, now):
            self._end(key, message, stop(send, reason, now))
        elif lane.disabled:
            self._at(message.expires_at, key)
        elif lane.paused_until - now > SHORT_PAUSE:
            self._at(min(lane.paused_until, message.expires_at or lane.paused_until), key)
        else:
            lane.offer(key, urgent=message.klass == "transactional")

    def _ring(self, now: int) -> None:
        while self._agenda and self._agenda[0][0] <= now:
            key = heappop(self._agenda)[1]
            send = self.sends.get(key)
            if send is not None and not send.terminal:
                self._route(key, send, now)

    def _mark(self, now: int) -> None:
        ready = {way: (count, lane.sink) for way, lane in self.lanes.items() if (count := lane.ready(now))}
        for way, most in self.limits.grant(ready).items() if ready else ():
            for key in self.lanes[way].take(now, most):
                self._begin(key, self.lanes[way], now)

    def _begin(self, key: str, lane: Lane, now: int) -> None:
        send = self.sends.get(key)
        if send is None or send.terminal:
            lane.landed()
        else:
            self.sends.put(key, replace(begin(send, now), epoch=self.lease.epoch))
            self._going.append(key)

    def _launch(self) -> None:
        if not self._going:
            return
        faults.here("sender.after_claim")
        going, self._going = self._going, []
        self._start([(key, send) for key in going if (send := self.sends.get(key)) is not None])

    def _start(self, sends: Sequence[tuple[str, Send]]) -> None:
        """The last look at all of them and, in the same breath, the attempts."""
        refusals = self._look([_message(send) for _, send in sends])
        for (key, send), refusal in zip(sends, refusals, strict=True):
            self.lease.check()
            self._attempt_or_not(key, send, refusal)

    def _attempt_or_not(self, key: str, send: Send, refusal: str) -> None:
        message = _message(send)
        if refusal:
            verdict = UNSURE if refusal == UNSURE else CLOSED
            self._landed.append((key, Answer(verdict, refusal), self.clock.now()))
            return
        channel = self.channels[message.tenant, message.channel]
        task = asyncio.get_running_loop().create_task(self._attempt(key, send, message, channel))
        self._flying.add(task)
        task.add_done_callback(self._flying.discard)

    def _look(self, messages: Sequence[Message]) -> list[str]:
        try:
            blocked = self._suppression.refuse(messages)
        except OSError as error:
            self._alarm("suppression cannot be read, nothing leaves", error)
            return [UNSURE] * len(messages)
        now = self.clock.now()
        return [look(message, refused, now) for message, refused in zip(messages, blocked, strict=True)]

    # --- the attempt and after ----------------------------------------------------------------------------------------

    async def _attempt(self, key: str, send: Send, message: Message, channel: Channel) -> None:
        answer = await _send(send, message, channel)
        faults.here("sender.after_send")
        self._landed.append((key, answer, self.clock.now()))

    def _land(self) -> int:
        """Settle the attempts that have ended; how many there were."""
        count = len(self._landed)
        for _ in range(count):
            key, answer, at = self._landed.popleft()
            send = self.sends.get(key)
            if send is not None:
                self._settle(key, send, answer, at)
        return count

    def _settle(self, key: str, send: Send, answer: Answer, now: int) -> None:
        message = _message(send)
        way = message.tenant, message.channel
        lane = self.lanes[way]
        lane.landed()
        if answer.verdict == CLOSED:
            self._keep(key, message, stop(withdraw(send), answer.code, now))
            return
        if answer.verdict == UNSURE:
            self._keep(key, message, replace(withdraw(send), due=now + int(SECOND * self.clock.speed)))
            return
        answer = self._in_journal_time(answer)
        self._heed(way, lane, answer, now)
        self._keep(key, message, settle(send, answer, lane.sink, now))

    def _heed(self, way: Way, lane: Lane, answer: Answer, now: int) -> None:
        """What an answer means for everybody else's messages to the same sink."""
        if answer.verdict == ACCEPTED:
            lane.relax()
        elif answer.verdict == CONFLICT:
            self._alarm(f"{way}: the sink knows a key with another body; this is a bug, please report it", answer.code)
        elif answer.verdict == GONE:
            lane.disabled = True
            self.sends.mark(_off(way), self.channels[way].place.encode())
            for key in lane.drain():
                self._at(now, key)
            self._alarm(f"{way}: the endpoint is gone and now disabled; change its url in the workspace", answer.code)
        elif answer.throttle:
            lane.throttle(now, answer.retry_after)

    def _keep(self, key: str, message: Message, send: Send) -> None:
        if not send.terminal:
            self.sends.put(key, send)
            self._at(send.due, key)
            return
        self._end(key, message, send)
        if message.caused_at and send.state == "sent":
            self.latencies.append(send.at - message.caused_at)

    def _end(self, key: str, message: Message, send: Send) -> None:
        self.sends.end(key, message, send)
        self.ended[f"{send.state} {send.code}"] += 1

    def _at(self, time: int, key: str) -> None:
        if time:
            heappush(self._agenda, (time, key))

    def _in_journal_time(self, answer: Answer) -> Answer:
        if answer.retry_after is None:
            return answer
        return replace(answer, retry_after=int(answer.retry_after * self.clock.speed))

    def _alarm(self, what: str, detail: object) -> None:
        self.alarms[what] = self.alarms.get(what, 0) + 1
        log.error("%s (%s)", what, detail)


async def _send(send: Send, message: Message, channel: Channel) -> Answer:
    """One attempt; a sink that can be asked is asked first where an earlier attempt is in doubt."""
    if send.doubt and isinstance(channel, Askable):
        found = await channel.ask(message.key)
        if found.verdict != NEVER:
            return found if found.verdict == ACCEPTED else Answer(AGAIN, found.code, doubt=True)
    return await channel.send(message)


def _off(way: Way) -> bytes:
    return f"off/{way[0]}/{way[1]}".encode()


def _message(send: Send) -> Message:
    if send.message is None:
        raise ValueError(f"expected an open send with its message, got one that is {send.state}")
    return send.message
