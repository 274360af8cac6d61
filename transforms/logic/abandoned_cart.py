"""Abandoned cart, first step: some hours after the last activity on a cart that still holds something.

Newer activity starts the wait again; buying any of it, emptying the cart or starting a checkout ends it. What of this
arrives too late is recorded as a regret of the reminder that went.
"""

from __future__ import annotations

from collections.abc import Iterator

from schemas.workspace import Campaign
from transforms.logic import cart
from transforms.logic.lines import cancelled, regret
from transforms.logic.moment import HISTORY, Candidate, Moment
from transforms.logic.profile import CART, RUNS, SENDS, CartOp, Person, Run
from transforms.logic.words import CartWords

TRIGGER = "abandoned_cart"


def follow(moment: Moment) -> tuple[Candidate, ...]:
    """Start, restart or cancel the wait after something happened to the cart; the reminder itself comes by wake."""
    runs = RUNS.read(moment.person.runs)
    for campaign in moment.plan.of_trigger(TRIGGER):
        _follow(moment, campaign, runs)
    store(moment.person, runs)
    if moment.cart_op is not None and moment.cart_op.change in cart.ENDS:
        _regret(moment, moment.cart_op)
    return ()


def _follow(moment: Moment, campaign: Campaign, runs: list[Run]) -> None:
    run = next((run for run in runs if run.campaign == campaign.name), None)
    live = moment.live
    if live is None:
        if run is not None and run.due:
            run.due = 0
            moment.out.rows.append(cancelled(moment, _candidate(moment, campaign, run, moment.now), "EXCEPTION_EVENT"))
    elif moment.now - live.at <= HISTORY:
        due = max(live.at + campaign.after[0], moment.now)
        if run is None:
            runs.append(Run(campaign.name, live.id, live.at, due, moment.shared))
        elif live.order > (run.at, run.trigger):
            run.trigger, run.at, run.due, run.shared = live.id, live.at, due, moment.shared


def store(person: Person, runs: list[Run]) -> None:
    """Keep the waits; the person's next wake follows from them."""
    person.runs = RUNS.write(runs)
    person.run_due = min([run.due for run in runs if run.due], default=0)


def on_wake(moment: Moment) -> Iterator[Candidate]:
    """The first wait whose time has come asks for its reminder."""
    runs = RUNS.read(moment.person.runs)
    run = min((run for run in runs if run.due), key=lambda run: (run.due, run.campaign))
    due, run.due = run.due, 0
    store(moment.person, runs)
    campaigns = moment.plan.of_trigger(TRIGGER)
    campaign = next((campaign for campaign in campaigns if campaign.name == run.campaign), None)
    if campaign is not None:
        yield _candidate(moment, campaign, run, due)


def _candidate(moment: Moment, campaign: Campaign, run: Run, created_at: int) -> Candidate:
    return Candidate(
        campaign=campaign,
        trigger=run.trigger,
        created_at=created_at,
        caused_at=created_at,
        channels=campaign.channels,
        words={"cart": CartWords.of(cart.contents(moment.person))},
        entry=campaign.name,
        shared=run.shared,
    )


def _regret(moment: Moment, op: CartOp) -> None:
    """Record, once a reminder, that what should have stopped it had happened before it went."""
    sends = SENDS.read(moment.person.sends)
    names = {campaign.name for campaign in moment.plan.of_trigger(TRIGGER)}
    late = [send for send in sends if send.campaign in names and not send.regretted and op.at < send.decided]
    for send in late:
        live = cart.fold(each for each in CART.read(moment.person.cart) if each.at < send.decided)[1]
        if live is None:
            send.regretted = True
            moment.out.rows.append(regret(moment, send))
    if late:
        moment.person.sends = SENDS.write(sends)
