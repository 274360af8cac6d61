"""The synthetic world repeats itself, holds together, and its truth notices a missing, a doubled, a wrong message."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import pytest
from oracle import judge

from models.registry import Models
from pipelines.clock import Clock, real_now
from pipelines.config import SAMPLE
from pipelines.demo.ending import delivered
from pipelines.demo.play import Place, Player, request, seconds
from pipelines.demo.posts import NEGATIVE, NEUTRAL, POSITIVE, Tone
from pipelines.demo.scene import GZIP, STRANGER, TEXT, Call, Planted
from pipelines.demo.stories import STORIES, live
from pipelines.demo.truth import Outcome, Register, compare, expected, observe
from pipelines.demo.world import World
from pipelines.workspace import load
from schemas.keys import address_of
from schemas.records import CLAIMED, DAY, HOUR, TRUSTED, Block, Entry
from transforms.logic.intake import cut

START = 20_000 * DAY
WORLD = World(seed=7, start=START)
CALLS = list(islice(WORLD.timeline(), 3_000))
TENANT = load(SAMPLE).tenants["wanderlodge"]
SECRET = bytes(32)
PEOPLE = [live(number, 7, START)[1] for number in range(2 * len(STORIES))]
BY_STORY = {planted.story: planted for planted in PEOPLE}


# --- the world --------------------------------------------------------------------------------------------------------


def test_the_same_world_does_the_same_again() -> None:
    assert list(islice(World(seed=7, start=START).timeline(), 3_000)) == CALLS
    assert list(islice(World(seed=8, start=START).timeline(), 3_000)) != CALLS


def test_calls_come_in_order_of_time_and_have_names_of_their_own() -> None:
    assert [call.at for call in CALLS] == sorted(call.at for call in CALLS)
    names = Counter(name for call in CALLS for name in message_ids(call))
    doubled = {name for name, number in names.items() if number > 1}
    assert doubled == {name for name in names if "-Order Completed" in name and names[name] == 3}


def message_ids(call: Call) -> list[str]:
    if isinstance(call.body, bytes):
        return []
    records = call.body.get("batch") or call.body.get("mentions") or [call.body]
    return [record.get("messageId") or record["id"] for record in records]


def test_every_story_is_lived_in_two_languages_through_every_shape() -> None:
    planted = [live(number, 7, START)[1] for number in range(600)]
    assert {each.story for each in planted} == {story.__name__ for story in STORIES}
    assert {each.person.language for each in planted} == {"en", "pl"}
    assert {call.shape for call in CALLS} == {"json", TEXT, GZIP}
    assert {call.trust for call in CALLS} == {TRUSTED, CLAIMED, STRANGER}


def test_nobody_shares_an_identifier() -> None:
    people = [live(number, 7, START)[1].person for number in range(600)]
    for kind in ("email", "customer", "cookie", "handle", "name"):
        assert len({getattr(person, kind) for person in people}) == 600
    assert all(person.email.isascii() and person.email == person.email.lower() for person in people)


def test_planted_marketing_never_meets_a_cap() -> None:
    campaigns = {campaign.trigger: campaign for campaign in TENANT.campaigns}
    for planted in PEOPLE:
        triggers = [*planted.messages, *(trigger for trigger, _ in planted.refusals)]
        marketing = [trigger for trigger in triggers if campaigns[trigger].klass == "marketing"]
        assert len(marketing) <= 1, planted.story


def test_truth_is_due_after_the_last_call_of_a_story() -> None:
    for planted, last_call in WORLD.planted(START + 12 * HOUR):
        assert START <= last_call <= planted.due


def test_every_request_is_cut_into_as_many_records_as_the_world_says() -> None:
    keys = {key.trust: key.key for key in TENANT.keys}
    for call in CALLS:
        body, _ = request(call, keys)
        found = cut({"/v1/batch": "batch", "/v1/b": "batch", "/v1/mentions": "mention"}.get(call.path, "track"), body)
        assert len(found.pieces) == call.records or call.trust == STRANGER
        assert request(call, keys)[0] == body


def tones() -> list[tuple[str, str]]:
    named: tuple[tuple[str, Tone], ...] = (("negative", NEGATIVE), ("positive", POSITIVE), ("neutral", NEUTRAL))
    texts = [(name, text) for name, tone in named for texts in tone.values() for text in texts]
    return [(name, text.format(handle=b.lower(), brand=b)) for name, text in texts for b in ("Fernweh", "Kolibri")]


def test_posts_leave_no_doubt_to_the_model() -> None:
    models = Models().open()
    scored = models.score([text for _, text in tones()])
    assert [name for name, _ in scored] == [name for name, _ in tones()]


# --- the truth --------------------------------------------------------------------------------------------------------


def as_planted(planted: Planted) -> dict[int, Outcome]:
    return {planted.person.number: expected(planted, TENANT.campaigns)}


@pytest.mark.parametrize("story", [story.__name__ for story in STORIES])
def test_what_was_planted_is_found(story: str) -> None:
    planted = BY_STORY[story]
    found = compare([(planted, True)], TENANT.campaigns, as_planted(planted))
    assert (found.complete, found.going_on, found.differences) == (1, 0, [])


def spoilt(**changes: Any) -> list[str]:
    """The differences when the newcomer's outcome is spoilt."""
    planted = BY_STORY["newcomer"]
    outcome = expected(planted, TENANT.campaigns)
    outcome.sent.update(changes.get("sent", {}))
    outcome.refused.update(changes.get("refused", {}))
    return compare(
        [(planted, changes.get("over", True))], TENANT.campaigns, {planted.person.number: outcome}
    ).differences


def test_a_missing_a_doubled_and_a_wrong_message_are_told_with_the_name() -> None:
    who = f"{BY_STORY['newcomer'].person.name} (newcomer)"
    assert spoilt(sent={"welcome": -1}) == [f"{who}: expected welcome to be sent once, got never"]
    assert spoilt(sent={"welcome": 1}) == [f"{who}: expected welcome to be sent once, got twice"]
    assert spoilt(sent={"abandoned-cart": 1}) == [f"{who}: expected abandoned-cart to be sent never, got once"]
    assert spoilt(refused={("welcome", "CAPPED"): 3}) == [
        f"{who}: expected welcome for CAPPED to be refused never, got 3 times"
    ]


def test_while_a_story_goes_on_nothing_is_missed_but_too_much_is_noticed() -> None:
    assert spoilt(sent={"welcome": -1}, over=False) == []
    assert len(spoilt(sent={"welcome": 1}, over=False)) == 1


def test_messages_and_refusals_find_their_people() -> None:
    newcomer, angry = BY_STORY["newcomer"], BY_STORY["angry"]
    register = Register(TENANT.name, SECRET, PEOPLE)
    angry_id = address_of(SECRET, TENANT.name, "customer", angry.person.customer).hex()
    outcomes, strangers = observe(
        register,
        [(newcomer.person.email, "welcome"), ("who@knows.example", "welcome")],
        [(angry_id, "abandoned-cart", "CARE_HOLD"), ("00" * 16, "welcome", "NO_CONSENT")],
    )
    assert outcomes[newcomer.person.number].sent == {"welcome": 1}
    assert outcomes[angry.person.number].refused == {("abandoned-cart", "CARE_HOLD"): 1}
    assert strangers == ["who@knows.example: expected no message, got welcome"]


def test_only_live_campaigns_are_expected() -> None:
    from msgspec.structs import replace as changed

    silent = [changed(campaign, live=campaign.trigger != "welcome") for campaign in TENANT.campaigns]
    assert expected(BY_STORY["newcomer"], silent).sent == {"confirm-address": 1}


def test_the_sink_tells_what_it_accepted(tmp_path: Path) -> None:
    file = tmp_path / "recorder.jsonl"
    assert list(delivered(file)) == []
    file.write_text(json.dumps({"to": "a@b.example", "campaign": "welcome", "body": {"text": "x"}}) + "\n")
    assert list(delivered(file)) == [("a@b.example", "welcome")]


def journal(world: World, until: int) -> list[Block]:
    """What the door would journal of a world's good Segment calls: a block each, stamped strictly rising."""
    blocks: list[Block] = []
    for call in takewhile(lambda call: call.at < until, world.timeline()):
        if call.person < 0 or call.path == "/v1/mentions":
            continue
        found = cut("batch" if "batch" in call.path else "track", request(call, {})[0]).pieces
        entries = [Entry(piece.kind, TENANT.name, call.trust, "world", piece.sent_at, piece.body) for piece in found]
        before = blocks[-1] if blocks else Block(0, 0, 0, [])
        first = before.first + len(before.entries)
        blocks.append(Block(max(call.at, before.received_at + 1), 0, first, entries))
    return blocks


def test_the_oracle_decides_what_was_planted() -> None:
    """The separately written rules agree with every story but the one that needs a model's reading of a post."""
    world, until = replace(WORLD, noise_every=DAY), START + 7 * HOUR
    verdict = judge({TENANT.name: TENANT}, SECRET, journal(world, until), until)
    people = [
        (planted, max(planted.due, last) < until) for planted, last in world.planted(until) if planted.story != "angry"
    ]
    sent = [(to, campaign) for campaign, to, *_ in verdict.messages.values()]
    refused = [
        (person, campaign, reason)
        for (person, campaign, _, reason, _), number in verdict.decisions.items()
        for _ in range(number)
        if reason != "SENT"
    ]
    register = Register(TENANT.name, SECRET, (planted for planted, _ in world.planted(until)))
    found = compare(people, TENANT.campaigns, observe(register, sent, refused)[0])
    assert found.differences == []
    assert found.complete > 100


# --- playing it -------------------------------------------------------------------------------------------------------


class Door:
    """Answers as the door would, without a network: busy at first, then it takes everything but strangers."""

    def __init__(self, busy: int = 0) -> None:
        self.busy = busy
        self.taken: list[Call] = []

    def post(self, call: Call) -> tuple[int, float]:
        if self.busy:
            self.busy -= 1
            return (429, 503, 0)[self.busy % 3], 0.0
        if call.trust == STRANGER:
            return 401, 0.0
        self.taken.append(call)
        return 200, 0.0

    def close(self) -> None:
        """Nothing to close."""


def player(place: Place, file: Path, door: Door, until: int) -> Player:
    """A player whose clock stands at `until`: it plays everything up to there at once and then waits."""
    found = Player(place, file, lambda: Clock(until, real_now(), 1e-9), ("nowhere", 0), {})
    found._door = door  # type: ignore[assignment]
    return found


def played(place: Place, file: Path, door: Door, until: int) -> Place:
    """The place after everything up to `until` is played."""
    running = player(place, file, door, until)
    goal = sum(1 for call in CALLS if call.at <= until)
    running.start()
    while running.is_alive() and running.place.next < goal:
        running._ended.wait(0.01)
    running.end()
    kept = Place.load(file)
    assert kept is not None
    return kept


def test_a_world_goes_on_where_it_stopped(tmp_path: Path) -> None:
    file, door = tmp_path / "world.json", Door(busy=7)
    halfway, end = START + 2 * HOUR, START + 4 * HOUR
    first = played(Place(WORLD), file, door, halfway)
    assert (first.again, first.clean) == (7, True)
    assert first.until <= halfway
    last = played(first, file, door, end)
    wanted = [call for call in CALLS if call.at <= end]
    assert last.next == len(wanted)
    assert door.taken == [call for call in wanted if call.trust != STRANGER]
    assert last.records == sum(call.records for call in wanted)
    assert last.surprises == []
    assert last.world == WORLD


def test_a_late_story_is_due_later_and_an_unexpected_answer_is_told(tmp_path: Path) -> None:
    late = played(Place(WORLD), tmp_path / "world.json", Door(), START + HOUR)
    first = next(call for call in CALLS if call.person == 0)
    assert late.late[0] == pytest.approx(START + HOUR - first.at, abs=1_000)

    class Deaf(Door):
        def post(self, call: Call) -> tuple[int, float]:
            return (404, 0.0)

    deaf = played(Place(replace(WORLD)), tmp_path / "other.json", Deaf(), START + HOUR)
    assert deaf.surprises[0].endswith("expected 200, got 404")
    assert deaf.records == 0


def test_a_kill_is_remembered(tmp_path: Path) -> None:
    file = tmp_path / "world.json"
    Place(WORLD, next=5).save(file)
    kept = Place.load(file)
    assert kept is not None
    assert (kept.next, kept.again) == (5, 1)
    assert Place.load(tmp_path / "none.json") is None


def test_retry_after_is_followed_within_reason() -> None:
    assert [seconds(text) for text in (None, "2", "0", "3600", "soon")] == [0.2, 2.0, 0.2, 30.0, 0.2]
