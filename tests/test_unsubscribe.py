"""Leaving by a link: looking changes nothing, a post counts before it is answered, and no token can be turned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from doorway import TENANT, Answer, Door
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from shop import POLICY, SECRET, campaign, shop
from starlette.types import Message
from story import Story, email
from support_calls import NOON, block, entry
from told import live

from pipelines.config import Config
from pipelines.door import pages
from pipelines.receive import Receiver
from pipelines.unsubscribe import said
from schemas.records import CLAIMED, DAY, Unsubscribed
from schemas.workspace import Content
from transforms.logic.events import event_of
from transforms.logic.leaving import PATH, VALID, Leaving, NoToken, is_over, last_day, opened, token
from transforms.logic.suppress import left


class Front(Door):
    """A door with its pages."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self._receiver = Receiver(self._desk.callers, self._desk.committer, pages(self._desk))
        self.headers: dict[str, str] = {}
        self.number, self.who = 0, ""

    def ask(self, method: str, path: str, body: bytes = b"", query: bytes = b"") -> Answer:
        return self._loop.run(self._ask(method, path, body, query))

    async def _ask(self, method: str, path: str, body: bytes, query: bytes) -> Answer:
        sent: list[Message] = []
        form = [(b"content-type", b"application/x-www-form-urlencoded")]
        scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": form}

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._receiver(scope, receive, send)
        self.headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], sent[1]["body"].decode())

    def link(self, value: str, kind: str = "email", category: str = "marketing", until: int = 0) -> str:
        leaving = Leaving(TENANT.name, kind, value, category, until or last_day(self._desk.now()))
        return PATH + token(Config(self.data).secret(), leaving)


@pytest.fixture(scope="module")
def opened_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    door = Front(tmp_path_factory.mktemp("door"))
    yield door
    door.close()


@pytest.fixture
def door(opened_once: Front) -> Front:
    """The door of all tests; `who` is somebody new in each."""
    opened_once.number += 1
    opened_once.who = f"ana{opened_once.number}@people.example"
    return opened_once


ONE_CLICK = b"List-Unsubscribe=One-Click"


def test_f81_a_scanner_that_follows_the_link_changes_nothing(door: Front) -> None:
    link = door.link(door.who)
    before = door.records
    for method in ("GET", "HEAD", "GET"):
        assert door.ask(method, link).status == 200
    assert door.records == before
    assert not door.stopped(door.who)


def test_one_click_counts_before_it_is_answered(door: Front) -> None:
    before = door.records
    answer = door.ask("POST", door.link(door.who), ONE_CLICK)
    assert (answer.status, "location" in door.headers, "set-cookie" in door.headers) == (200, False, False)
    assert door.stopped(door.who)
    assert not door.stopped(door.who, category="account-news")
    assert not door.stopped("eve@people.example")
    assert door.records == before + 1


@pytest.mark.parametrize(("kind", "value"), [("customer", "c-1"), ("phone", "+48600123123")])
def test_links_of_other_channels_work_too(door: Front, kind: str, value: str) -> None:
    assert door.ask("POST", door.link(value, kind), ONE_CLICK).status == 200
    assert door.stopped(value, kind)


def test_somebody_may_leave_everything(door: Front) -> None:
    page = door.ask("GET", door.link(door.who)).text
    assert 'action="?all=1"' in page
    assert door.ask("POST", door.link(door.who), b"", b"all=1").status == 200
    assert door.stopped(door.who, category="whatever")


def test_leaving_twice_is_leaving(door: Front) -> None:
    for _ in range(2):
        assert door.ask("POST", door.link(door.who), ONE_CLICK).status == 200
    assert door.stopped(door.who)


def test_the_page_tells_no_address_and_loads_nothing(door: Front) -> None:
    page = door.ask("GET", door.link(door.who)).text
    assert door.who.partition("@")[0] not in page
    assert "people.example" not in page
    assert not re.search(r"https?:|src=|<script|<link", page)
    assert door.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in door.headers["content-security-policy"]


def test_words_of_the_workspace_cannot_break_the_page(door: Front) -> None:
    page = door.ask("GET", door.link("a@b.example", category="<script>x</script>")).text
    assert "<script>" not in page


def test_f82_a_token_that_was_changed_or_made_elsewhere_does_nothing(door: Front) -> None:
    good, before = door.link(door.who), door.records
    other = PATH + token(bytes(32), Leaving(TENANT.name, "email", door.who, "marketing", 1 << 20))
    elsewhere = PATH + token(Config(door.data).secret(), Leaving("nobody", "email", door.who, "m", 1 << 20))
    turned = (good[:-1], good + "A", good[:-2] + "AA", PATH + "x", PATH + "%00", PATH + "a" * 9999)
    for link in (*turned, other, elsewhere):
        answer = door.ask("POST", link, ONE_CLICK)
        assert (answer.status, "does not work" in answer.text) == (404, True)
    assert door.records == before
    assert not door.stopped(door.who)


def test_a_link_that_is_too_old_says_so(door: Front) -> None:
    answer = door.ask("POST", door.link(door.who, until=1), ONE_CLICK)
    assert (answer.status, "too old" in answer.text) == (410, True)
    assert not door.stopped(door.who)


def test_a_wish_that_cannot_be_saved_is_never_answered_yes(door: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door._desk.committer, "size", 1 << 40)
    answer = door.ask("POST", door.link(door.who), ONE_CLICK)
    assert (answer.status, door.headers["retry-after"]) == (503, "5")
    assert not door.stopped(door.who)


def test_other_methods_are_refused(door: Front) -> None:
    assert door.ask("PUT", door.link(door.who)).status == 405
    assert door.ask("DELETE", door.link(door.who)).status == 405


# --- messages ---------------------------------------------------------------------------------------------------------

BASE = "https://shop.example/door"


def lived(base: str = BASE) -> dict[str, bytes]:
    """What a newcomer who wants mail gets, by campaign."""
    story = Story().at("09:00").tracks("ana", "Signed Up", {"email": email("ana"), "marketing_opt_in": True})
    words = Content({"subject": "Hi", "text": "Leave: {{ unsubscribe_url }}"})
    mail = {"email": dict.fromkeys(("en", "pl"), words)}
    tenant = shop(
        *(campaign(name, content=mail) for name in ("welcome", "confirm")), policy=replace(POLICY, links=base)
    )
    told = live(tenant, story.until("10:00").blocks())[1]
    return {message.campaign: message.body for message in told.messages}


def test_a_marketing_message_says_where_to_leave_and_the_job_believes_it() -> None:
    body = msgspec.json.decode(lived()["welcome"])
    link = body["unsubscribe_url"]
    assert body["text"] == f"Leave: {link}"
    leaving = opened(SECRET, link.removeprefix(BASE + PATH))
    assert leaving[:4] == ("shop", "email", email("ana"), "marketing")
    for everything in (False, True):
        call = entry(said(leaving, everything), "track", CLAIMED)
        event, note = event_of(call, block(call), 1)
        assert (event.ids.email, note) == (email("ana"), "")
        assert isinstance(event.fact, Unsubscribed)
        assert left(event.fact, frozenset({"marketing", "news"})) == ("*" if everything else "marketing")


def test_what_somebody_needs_has_no_link_and_nothing_has_one_without_a_place() -> None:
    assert "unsubscribe_url" not in msgspec.json.decode(lived()["confirm"])
    assert msgspec.json.decode(lived()["confirm"])["text"] == "Leave: "
    assert b"unsubscribe" not in b"".join(lived(base="").values())


# --- tokens -----------------------------------------------------------------------------------------------------------

WORDS = st.text(max_size=40)
LEAVINGS = st.builds(Leaving, WORDS, WORDS, WORDS, WORDS, st.integers(0, 1 << 40))


@given(LEAVINGS)
def test_a_token_stands_for_what_it_was_made_of_and_shows_nothing(leaving: Leaving) -> None:
    text = token(SECRET, leaving)
    assert opened(SECRET, text) == leaving
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert text == token(SECRET, leaving)
    with pytest.raises(NoToken):
        opened(bytes(32), text)


@given(LEAVINGS, st.data())
def test_f82_no_token_with_any_letter_changed_stands_for_anything(leaving: Leaving, data: st.DataObject) -> None:
    text = token(SECRET, leaving)
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("ABCDxyz019-_=% é\n").filter(lambda each: each != text[at]))
    with pytest.raises(NoToken):
        opened(SECRET, text[:at] + letter + text[at + 1 :])


@given(st.text(max_size=200))
def test_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(NoToken):
        opened(SECRET, text)


def test_a_link_lives_for_its_days() -> None:
    leaving = Leaving("shop", "email", "ana@people.example", "marketing", last_day(NOON))
    assert not is_over(leaving, NOON + VALID * DAY)
    assert is_over(leaving, NOON + (VALID + 1) * DAY)
