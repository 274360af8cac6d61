"""Each mention gets exactly one line, and what models say of it goes back to the person who wrote it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from apache_beam import Create, Flatten, Pipeline
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that
from hypothesis import given
from hypothesis import strategies as st
from posts import HOSTILE, Told, ToldModels, mention
from shop import shop

from schemas.records import Classification, Mention, MentionRow, Said
from schemas.workspace import Brand
from transforms.batches import Failures, Feedback, Mentions, Rows
from transforms.classify import Classify
from transforms.logic.brands import gazetteers
from transforms.logic.classify import WHOLE_TENANT, classify, line_id, refuse
from transforms.logic.shard import Outputs

TENANT = shop()
BRANDS = gazetteers([(TENANT.name, TENANT.brands), ("solo", (Brand("Solo", ("solo",)),))])


def run(*mentions: Mention) -> Outputs:
    return classify(mentions, BRANDS, Told())


def lines(out: Outputs) -> list[MentionRow]:
    return [row for row in out.rows if isinstance(row, MentionRow)]


def classifications(out: Outputs) -> list[Classification]:
    return [row for row in out.rows if isinstance(row, Classification)]


def said(out: Outputs) -> Said:
    (derived,) = out.feedback
    assert isinstance(derived.fact, Said)
    return derived.fact


def test_a_post_about_a_brand_is_applied_and_goes_back_to_its_author() -> None:
    out = run(mention("bad boots, Fernweh"))
    (row,) = lines(out)
    assert (row.disposition, row.reason, row.language, row.directed) == ("applied", "", "en", False)
    (found,) = classifications(out)
    assert (found.mention, found.brand, found.sentiment, found.score) == (row.id, "Fernweh", "negative", 0.75)
    assert (found.language_score, found.model, found.directed) == (0.9, "told@0123", False)
    (derived,) = out.feedback
    assert derived.ids.handle == "chirp:ana"
    assert (derived.tenant, derived.event_time, derived.cause) == ("shop", 1_000, "p1")
    assert said(out) == Said(
        "p1", ("Fernweh",), False, "negative", 0.75, "en", "bad boots, Fernweh", "https://chirp.example/p1", ""
    )


def test_one_classification_for_each_brand() -> None:
    out = run(mention("@fernweh is better than Kompass"))
    assert [(each.brand, each.directed) for each in classifications(out)] == [("Fernweh", True), ("Kompass", False)]
    assert len({each.id for each in classifications(out)}) == 2
    assert said(out).brands == ("Fernweh", "Kompass")
    assert said(out).directed
    assert lines(out)[0].directed


@pytest.mark.parametrize(
    ("post", "reason"),
    [
        (mention("nothing to see"), "no_brand"),
        (mention("nothing to see", directed=False), "no_brand"),
        (mention("Fernweh has news", author="fernweh"), "own_account"),
        (mention("Fernweh has news", author="@Fernweh", directed=True), "own_account"),
    ],
)
def test_what_concerns_nobody_is_filtered_before_a_model_is_asked(post: Mention, reason: str) -> None:
    models = Told()
    out = classify([post], BRANDS, models)
    assert [(row.disposition, row.reason, row.language) for row in lines(out)] == [("filtered", reason, "")]
    assert not out.feedback
    assert not out.failures
    assert not models.asked


@pytest.mark.parametrize(
    ("post", "expected"),
    [
        (mention("where is my parcel?", directed=True), [(WHOLE_TENANT, True)]),
        (mention("where is my parcel?", directed=True, tenant="solo"), [("Solo", True)]),
        (mention("where is my Kompass?", directed=True), [("Kompass", True)]),
        (mention("@fernweh where is my Kompass?", directed=True), [("Fernweh", True), ("Kompass", False)]),
        (mention("@fernweh hello", directed=False), [("Fernweh", True)]),
        (mention("Fernweh, hello"), [("Fernweh", False)]),
    ],
)
def test_directed_or_about(post: Mention, expected: list[tuple[str, bool]]) -> None:
    out = run(post)
    assert [(each.brand, each.directed) for each in classifications(out)] == expected
    assert said(out).brands == tuple(brand for brand, _ in expected if brand)


def test_an_unknown_tenant_is_a_failure_with_its_bytes() -> None:
    out = run(mention("Fernweh", tenant="gone"))
    assert [(row.disposition, row.reason) for row in lines(out)] == [("failed", "unknown_tenant")]
    (failure,) = out.failures
    assert (failure.stage, failure.reason, failure.body) == ("classify", "unknown_tenant", b"{}")


def test_a_post_without_an_author_is_classified_but_goes_back_to_nobody() -> None:
    out = run(mention("bad Fernweh", author=""))
    assert len(classifications(out)) == 1
    assert not out.feedback


def test_repeating_the_work_repeats_every_id() -> None:
    posts = [mention("bad Fernweh"), mention("good Kompass", id="p2", sequence=2)]
    assert run(*posts) == run(*posts)
    alone = [run(post) for post in posts]
    assert {row.id for out in alone for row in out.rows} == {row.id for row in run(*posts).rows}
    assert [derived for out in alone for derived in out.feedback] == run(*posts).feedback


def test_the_same_post_at_another_place_says_the_same_to_the_person() -> None:
    one, other = run(mention("bad Fernweh")), run(mention("bad Fernweh", sequence=9))
    assert one.feedback[0].id == other.feedback[0].id
    assert lines(one)[0].id != lines(other)[0].id


def test_an_excerpt_shows_nothing_that_reorders_or_breaks_a_line() -> None:
    assert said(run(mention("bad\u202e Fernweh\r\n\x1b[0m" + "x" * 500))).excerpt == "bad Fernweh  [0m" + "x" * 262


def test_an_order_in_a_post_is_only_text() -> None:
    out = run(mention(f"Fernweh. {HOSTILE['orders']}"))
    assert [each.sentiment for each in classifications(out)] == ["neutral"]
    assert len(out.feedback) == 1


def test_a_refused_mention_is_one_failure_and_one_line() -> None:
    post = mention("Fernweh")
    out = refuse(post, RuntimeError("x" * 1_000))
    assert [(row.id, row.disposition, row.reason) for row in lines(out)] == [(line_id(post), "failed", "model_error")]
    (failure,) = out.failures
    assert failure.detail == "RuntimeError", "what an error says may hold what the post says"
    assert failure.body == b"{}"


TEXTS = st.sampled_from(["Fernweh", "@fernweh", "kompass fernweh", "nothing", "", *HOSTILE.values()]) | st.text()
POSTS = st.builds(
    lambda text, tenant, author, directed: {"text": text, "tenant": tenant, "author": author, "directed": directed},
    TEXTS,
    st.sampled_from(["shop", "solo", "gone"]),
    st.sampled_from(["ana", "fernweh", ""]),
    st.sampled_from([None, True, False]),
)


@given(st.lists(POSTS, max_size=8))
def test_nothing_vanishes(posts: list[dict[str, object]]) -> None:
    given_posts = [mention(**{**post, "sequence": number, "id": f"p{number}"}) for number, post in enumerate(posts)]  # type: ignore[arg-type]
    out = run(*given_posts)
    assert sorted(row.sequence for row in lines(out)) == list(range(len(posts)))
    applied = {row.id for row in lines(out) if row.disposition == "applied"}
    assert {each.mention for each in classifications(out)} == applied
    assert len(out.failures) == sum(row.disposition == "failed" for row in lines(out))
    assert len(out.feedback) == sum(row.disposition == "applied" and bool(row.author) for row in lines(out))
    assert len({row.id for row in out.rows}) == len(out.rows)


# --- on Beam ----------------------------------------------------------------------------------------------------------


def test_on_beam_repeats_are_dropped_and_a_poison_text_costs_one_failure() -> None:
    posts = [
        mention("bad Fernweh", id="p1", sequence=1),
        mention("bad Fernweh", id="p1", sequence=2),
        mention("poison Fernweh", id="p3", sequence=3),
        mention("good Kompass", id="p4", sequence=4),
        mention("nothing", id="p5", sequence=5),
    ]
    with Pipeline(runner=FnApiRunner()) as pipeline:
        mentions = pipeline | Create([Mentions(posts)]).with_output_types(Mentions)
        out = mentions | "classify" >> Classify(ToldModels(), {"shop": TENANT}, 2, "cells")
        assert_that((out.rows, out.repeated) | "all rows" >> Flatten(), each_line_once, label="rows")
        assert_that((out.failures, out.refused) | "all failures" >> Flatten(), one_failure, label="failures")
        assert_that(out.feedback, two_go_back, label="feedback")


def test_on_beam_trouble_with_the_machine_is_no_posts_fault() -> None:
    pipeline = Pipeline(runner=FnApiRunner())
    mentions = pipeline | Create([Mentions([mention("heavy Fernweh")])]).with_output_types(Mentions)
    _ = mentions | "classify" >> Classify(ToldModels(), {"shop": TENANT}, 2, "cells")
    with pytest.raises(Exception, match="no room"):
        pipeline.run()


def each_line_once(batches: Iterable[Rows]) -> None:
    rows = [row for batch in batches for row in batch.items if isinstance(row, MentionRow)]
    assert sorted((row.sequence, row.disposition, row.reason) for row in rows) == [
        (1, "applied", ""),
        (2, "filtered", "duplicate"),
        (3, "failed", "model_error"),
        (4, "applied", ""),
        (5, "filtered", "no_brand"),
    ]


def one_failure(batches: Iterable[Failures]) -> None:
    assert [(each.sequence, each.detail) for batch in batches for each in batch.items] == [(3, "RuntimeError")]


def two_go_back(batches: Iterable[Feedback]) -> None:
    assert sorted(derived.cause for batch in batches for derived in batch.items) == ["p1", "p4"]
