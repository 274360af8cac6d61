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
from transforms.logic.profile import CART, RUNS, SENDS, CartOp, Person, Run, Send
from transforms.logic.words import CartWords

TRIGGER = "abandoned_cart"


def follow(moment: Moment) -> tuple[Candidate, ...]:
    """Start, restart or cancel the wait after something happened to the cart; the reminder itself comes by wake."""
    runs = RUNS.read(moment.person.runs)
    for campaign in moment.plan.of_trigger(TRIGGER):
        _follow(moment, campaign, runs)
    store(moment.person, runs)
    if moment.cart_op is not None and moment.cart_op.change in cart.ENDS and not moment.is_history:
        _regret(moment, moment.cart_op)
    return ()


def _follow(moment: Moment, campaign: Campaign, runs: list[Run]) -> None:
    live = moment.live
    for run in runs:
        if run.campaign == campaign.name:
            break
    else:
        if live is None:
            return
        run = Run(campaign.name, "", 0, 0)
        runs.append(run)
    if live is None:
        if run.due:
            run.due = 0
            candidate = _candidate(moment, campaign, run, moment.now)
            moment.out.rows.append(cancelled(moment, candidate, "EXCEPTION_EVENT"))
    elif live.at > run.at or (live.at == run.at and live.id > run.trigger):
        _wait(moment, campaign, run, live)


def _wait(moment: Moment, campaign: Campaign, run: Run, live: CartOp) -> None:
    """Wait from this activity on, unless it is history."""
    now, due = moment.now, live.at + campaign.after[0]
    if now - live.at <= HISTORY:
        run.trigger, run.at, run.shared = live.id, live.at, moment.shared
        run.due = due if due > now else now


def store(person: Person, runs: list[Run]) -> None:
    """Keep the waits; the person's next wake follows from them."""
    person.runs = RUNS.write(runs)
    person.run_due = runs[0].due if len(runs) == 1 else min([run.due for run in runs if run.due], default=0)


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
    campaigns = {campaign.name: campaign for campaign in moment.plan.of_trigger(TRIGGER)}
    found = [send for send in sends if send.campaign in campaigns and not send.regretted and op.at < send.decided]
    late = [send for send in found if _was_over(moment, op, send, campaigns[send.campaign])]
    for send in late:
        send.regretted = True
        moment.out.rows.append(regret(moment, send))
    if late:
        moment.person.sends = SENDS.write(sends)


def _was_over(moment: Moment, op: CartOp, send: Send, campaign: Campaign) -> bool:
    """Whether the cart was over when its reminder went.

    What was before the cart was last emptied or replaced is forgotten: then anything that ends a cart counts, if it
    happened after the activity that the reminder was about.
    """
    ops = CART.read(moment.person.cart)
    if op.at < ops[0].at:
        return op.at >= send.expires - campaign.expires - campaign.after[0]
    return cart.fold(each for each in ops if each.at < send.decided)[1] is None
