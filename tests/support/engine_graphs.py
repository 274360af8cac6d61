"""Small plain Beam graphs that every runner must run alike: each takes pulls and names what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apache_beam import DoFn, FlatMap, Flatten, Map, ParDo
from apache_beam.coders import StrUtf8Coder, VarIntCoder
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    CombiningValueStateSpec,
    ReadModifyWriteStateSpec,
    SetStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.utils.timestamp import Duration, Timestamp
from engine_stages import START

from transforms.batches import Pull

Outputs = dict[str, PCollection]
Said = tuple[str, str]
"""Who, what."""


def said(pulls: PCollection) -> PCollection:
    """Pairs of a person and a word."""
    return pulls | "who said what" >> FlatMap(_pairs).with_output_types(tuple[str, str])


def _pairs(pull: Pull) -> Iterator[Said]:
    for block in pull.items:
        for entry in block.entries:
            person, word = entry.body.decode().split(" ", 1)
            yield person, word


def stateless(pulls: PCollection) -> Outputs:
    """ParDo, tagged outputs, Flatten of several, a bundle's own output."""
    words = said(pulls)
    parts = words | "sort" >> ParDo(Sort()).with_outputs("short", "long", main="rest")
    joined = (parts.short, parts.long, words | "again" >> Map(_again)) | Flatten()
    return {"rest": parts.rest, "joined": joined | "shout" >> Map(_shout)}


class Sort(DoFn):
    def process(self, pair: Said) -> Iterator[Any]:
        word = pair[1]
        if len(word) < 4:
            yield TaggedOutput("short", pair)
        elif len(word) > 5:
            yield TaggedOutput("long", pair)
            yield TaggedOutput("nobody takes this", pair)
        else:
            yield pair


def _again(pair: Said) -> Said:
    return pair[0], f"{pair[1]} again"


def _shout(pair: Said) -> str:
    return " ".join(pair).upper()


def states(pulls: PCollection) -> Outputs:
    """Every kind of state, changed and cleared."""
    return {"states": said(pulls) | "keep" >> ParDo(Keep())}


class Keep(DoFn):
    LAST = DoFn.StateParam(ReadModifyWriteStateSpec("last", StrUtf8Coder()))
    ALL = DoFn.StateParam(BagStateSpec("all", StrUtf8Coder()))
    KINDS = DoFn.StateParam(SetStateSpec("kinds", StrUtf8Coder()))
    LETTERS = DoFn.StateParam(CombiningValueStateSpec("letters", sum))

    def process(
        self, pair: Said, last: Any = LAST, bag: Any = ALL, kinds: Any = KINDS, letters: Any = LETTERS
    ) -> Iterator[tuple[Any, ...]]:
        person, word = pair
        yield person, last.read(), sorted(bag.read()), sorted(kinds.read()), letters.read()
        if word == "forget":
            for cell in (last, bag, kinds, letters):
                cell.clear()
        if word != "forget":
            last.write(word)
        bag.add(word)
        kinds.add(word)
        letters.add(len(word))


def timers(pulls: PCollection) -> Outputs:
    """Event-time timers: set, moved, cleared, with tags of their own, armed again and set by one another."""
    return {"timers": said(pulls) | "wait" >> ParDo(Wait())}


SECONDS = {"soon": 2, "later": 30}


class Wait(DoFn):
    """Words: `soon` and `later` set the alarm, `never` clears it, `tags` sets two of one kind, `chain` rings thrice."""

    COUNT = DoFn.StateParam(ReadModifyWriteStateSpec("count", VarIntCoder()))
    ALARM = TimerSpec("alarm", TimeDomain.WATERMARK)
    LINK = TimerSpec("link", TimeDomain.WATERMARK)
    SET_ALARM = DoFn.TimerParam(ALARM)
    SET_LINK = DoFn.TimerParam(LINK)

    def process(
        self,
        pair: Said,
        time: Any = DoFn.TimestampParam,
        count: Any = COUNT,
        alarm: Any = SET_ALARM,
        link: Any = SET_LINK,
    ) -> Iterator[tuple[Any, ...]]:
        person, word = pair
        count.write((count.read() or 0) + 1)
        if word in SECONDS:
            alarm.set(time + Duration(seconds=SECONDS[word]))
        elif word == "never":
            alarm.clear()
        elif word == "tags":
            alarm.set(time + Duration(seconds=4), dynamic_timer_tag="four")
            alarm.set(time + Duration(seconds=3), dynamic_timer_tag="three")
        elif word == "chain":
            link.set(time + Duration(seconds=1))
        yield person, "said", word, _seconds(time)

    @on_timer(ALARM)
    def ring(
        self,
        person: Any = DoFn.KeyParam,
        time: Any = DoFn.TimestampParam,
        tag: Any = DoFn.DynamicTimerTagParam,
        count: Any = COUNT,
    ) -> Iterator[tuple[Any, ...]]:
        yield person, f"alarm {tag}", count.read(), _seconds(time)

    @on_timer(LINK)
    def follow(
        self,
        person: Any = DoFn.KeyParam,
        time: Any = DoFn.TimestampParam,
        count: Any = COUNT,
        alarm: Any = SET_ALARM,
        link: Any = SET_LINK,
    ) -> Iterator[tuple[Any, ...]]:
        links = count.read() + 100
        count.write(links)
        if links < 300:
            link.set(time + Duration(seconds=1))
        else:
            alarm.set(time + Duration(seconds=1))
        yield person, "link", links, _seconds(time)


def in_series(pulls: PCollection) -> Outputs:
    """What a timer gives sets a timer of the next step, which fires in the same advance of time."""
    first = said(pulls) | "first" >> ParDo(Wait()) | "alarms" >> FlatMap(_alarms).with_output_types(tuple[str, str])
    return {"second": first | "second" >> ParDo(Count())}


def _alarms(line: tuple[Any, ...]) -> list[Said]:
    return [(line[0], f"alarm {line[2]}")] if line[1] == "alarm " else []


class Count(DoFn):
    """Counts until nothing came for five seconds."""

    SEEN = DoFn.StateParam(BagStateSpec("seen", StrUtf8Coder()))
    QUIET = TimerSpec("quiet", TimeDomain.WATERMARK)
    SET_QUIET = DoFn.TimerParam(QUIET)

    def process(self, pair: Said, time: Any = DoFn.TimestampParam, seen: Any = SEEN, quiet: Any = SET_QUIET) -> None:
        seen.add(pair[1])
        quiet.set(time + Duration(seconds=5))

    @on_timer(QUIET)
    def tell(
        self, person: Any = DoFn.KeyParam, time: Any = DoFn.TimestampParam, seen: Any = SEEN
    ) -> Iterator[tuple[Any, ...]]:
        yield person, sorted(seen.read()), _seconds(time)
        seen.clear()


def _seconds(time: Timestamp) -> float:
    return (time.micros - START) / 1e6
