"""The triggers that exist and what each one brings along: the defaults of campaign files."""

from __future__ import annotations

from msgspec import Struct

from schemas.records import DAY, HOUR

TRANSACTIONAL = "transactional"
MARKETING = "marketing"

SEGMENTS = (
    "Champion",
    "Loyal",
    "Potential loyalist",
    "New",
    "Promising",
    "Needs attention",
    "About to sleep",
    "At risk",
    "Can't lose",
    "Hibernating",
)
"""The ten names that a move between segments may speak of."""


class Trigger(Struct, frozen=True):
    """Defaults and limits of the campaigns of one trigger. Durations are microseconds.

    `reentry` as in `Campaign`: None once for life, 0 each time. `steps` is how many messages one entry may lead to.
    `options` are the fields beyond the common ones that such a campaign may set.
    """

    says: str
    klass: str
    after: tuple[int, ...]
    expires: int
    reentry: int | None
    steps: int = 1
    options: tuple[str, ...] = ()
    counts_to_cap: bool = True
    obeys_cap: bool = True


TRIGGERS: dict[str, Trigger] = {
    "signup_confirmation": Trigger(
        "asks a newcomer to confirm the address, at once after each sign-up",
        TRANSACTIONAL,
        after=(0,),
        expires=7 * DAY,
        reentry=0,
        counts_to_cap=False,
        obeys_cap=False,
    ),
    "welcome": Trigger(
        "greets once for life, at once after the first sign-up or the first consent",
        MARKETING,
        after=(0,),
        expires=24 * HOUR,
        reentry=None,
        options=("late",),
        obeys_cap=False,
    ),
    "order_confirmation": Trigger(
        "confirms each order at once",
        TRANSACTIONAL,
        after=(0,),
        expires=72 * HOUR,
        reentry=0,
        counts_to_cap=False,
        obeys_cap=False,
    ),
    "abandoned_cart": Trigger(
        "reminds of a cart that nobody touched for a while",
        MARKETING,
        after=(4 * HOUR,),
        expires=72 * HOUR,
        reentry=7 * DAY,
        options=("after", "reentry"),
    ),
    "rfm_transition": Trigger(
        "speaks to a person who moved into one of the segments named in `to`",
        MARKETING,
        after=(0,),
        expires=72 * HOUR,
        reentry=30 * DAY,
        options=("to", "reentry"),
    ),
}

PARTS: dict[str, tuple[str, ...]] = {
    "email": ("subject", "text"),
    "sms": ("text",),
    "push": ("title", "text"),
    "webhook": ("text",),
}
"""The channels that exist and the parts that a message on each must have."""

MORE_PARTS: dict[str, tuple[str, ...]] = {"email": ("html",)}
"""Parts that a message may have besides."""
