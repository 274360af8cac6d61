"""The planted stories: what a person lives through, and what Rapport must have said and refused by the end of it.

Each story is one function. It lets the person act in a scene and gives back when everything is due (minutes after the
start), the triggers of the messages that must be sent, and the (trigger, reason) pairs that must be refused. No story
comes near a frequency cap by accident: nobody is due two marketing messages.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from pipelines.demo.people import person, product
from pipelines.demo.posts import NEGATIVE, POSITIVE, post
from pipelines.demo.scene import Planted, Scene
from schemas.records import DAY, MINUTE

CART_WAIT = 240
"""Minutes until a cart counts as abandoned."""

End = tuple[float, tuple[str, ...], tuple[tuple[str, str], ...]]
Story = Callable[[Scene], End]

CONFIRM, WELCOME, ORDER, CART, SEGMENT = (
    "signup_confirmation",
    "welcome",
    "order_confirmation",
    "abandoned_cart",
    "rfm_transition",
)


def newcomer(scene: Scene) -> End:
    """Signs up and wants to hear from us."""
    scene.signs_up(1, opt_in=True)
    return 1, (CONFIRM, WELCOME), ()


def buyer(scene: Scene) -> End:
    """A customer orders; a clumsy client reports it three times."""
    scene.is_known()
    scene.orders(2, product(scene.chance), times=3)
    return 2, (ORDER,), ()


def cart_from_the_phone(scene: Scene) -> End:
    """Filled a cart while offline; the phone sends it hours later, so the reminder is nearly due."""
    scene.is_known()
    scene.fills_cart(2, product(scene.chance), back=(CART_WAIT - 10) * MINUTE)
    return 12, (CART,), ()


def regular(scene: Scene) -> End:
    """Orders again after six weeks and so becomes a potential loyalist."""
    scene.is_known()
    scene.orders(1, product(scene.chance), back=40 * DAY)
    scene.orders(4, product(scene.chance))
    return 4, (ORDER, SEGMENT), ()


def private(scene: Scene) -> End:
    """Signs up but wants no marketing."""
    scene.signs_up(1, opt_in=False)
    return 1, (CONFIRM,), ((WELCOME, "NO_CONSENT"),)


def slow_phone(scene: Scene) -> End:
    """Signed up ninety minutes ago; the phone had no network."""
    scene.signs_up(1, opt_in=True, back=90 * MINUTE)
    return 1, (CONFIRM, WELCOME), ()


def forgetful(scene: Scene) -> End:
    """Leaves a full cart."""
    scene.is_known()
    scene.fills_cart(5, product(scene.chance))
    return 5 + CART_WAIT, (CART,), ()


def quick(scene: Scene) -> End:
    """Buys what is in the cart, in time."""
    scene.is_known()
    wanted = product(scene.chance)
    scene.fills_cart(5, wanted)
    scene.orders(35, wanted)
    return 35, (ORDER,), ((CART, "EXCEPTION_EVENT"),)


def angry(scene: Scene) -> End:
    """Complains to a brand in public and then leaves a cart: no marketing now."""
    scene.is_known()
    scene.posts(5, post(NEGATIVE, scene.person.language, scene.chance.choice(("Fernweh", "Kolibri")), scene.chance))
    scene.fills_cart(90, product(scene.chance))
    return 90 + CART_WAIT, (), ((CART, "CARE_HOLD"),)


def stranger_first(scene: Scene) -> End:
    """Looks around unnamed, comes back later on the same browser and signs up."""
    scene.looks_around(0, views=3)
    scene.signs_up(50, opt_in=True)
    return 50, (CONFIRM, WELCOME), ()


def leaver(scene: Scene) -> End:
    """Takes the address off the list and later leaves a cart."""
    scene.is_known()
    scene.leaves(5)
    scene.fills_cart(20, product(scene.chance))
    return 20 + CART_WAIT, (), ((CART, "SUPPRESSED"),)


def hesitant(scene: Scene) -> End:
    """Gets as far as the checkout, which takes over from the cart."""
    scene.is_known()
    wanted = product(scene.chance)
    scene.fills_cart(5, wanted)
    scene.starts_checkout(25, wanted)
    return 25, (), ((CART, "EXCEPTION_EVENT"),)


def fan(scene: Scene) -> End:
    """Praises a brand and leaves a cart: is reminded as anybody."""
    scene.is_known()
    scene.posts(5, post(POSITIVE, scene.person.language, scene.chance.choice(("Fernweh", "Kolibri")), scene.chance))
    scene.fills_cart(60, product(scene.chance))
    return 60 + CART_WAIT, (CART,), ()


def undecided(scene: Scene) -> End:
    """Puts a second thing into the cart two hours after the first: one reminder, counted from the second."""
    scene.is_known()
    scene.fills_cart(5, product(scene.chance))
    scene.fills_cart(125, product(scene.chance))
    return 125 + CART_WAIT, (CART,), ()


def becomes_customer(scene: Scene) -> End:
    """Signs up in the browser; later the shop's own records join the address to a customer, who orders."""
    scene.signs_up(1, opt_in=True)
    scene.identified_by_server(30)
    scene.orders(45, product(scene.chance))
    return 45, (CONFIRM, WELCOME, ORDER), ()


STORIES: tuple[Story, ...] = (
    newcomer,
    buyer,
    cart_from_the_phone,
    regular,
    private,
    angry,
    forgetful,
    stranger_first,
    quick,
    leaver,
    slow_phone,
    fan,
    hesitant,
    undecided,
    becomes_customer,
)
"""In the order in which people begin to live them, again and again."""


def live(number: int, seed: int, start: int) -> tuple[Scene, Planted]:
    """Person `number`'s whole story from journal time `start` on, and its planted truth; the same whenever asked."""
    chance = Random(f"{seed}/{number}")  # text seeds are stable over processes and versions
    scene = Scene(person(number, chance), start, chance)
    story = STORIES[number % len(STORIES)]
    due, messages, refusals = story(scene)
    planted = Planted(scene.person, story.__name__, start + round(due * MINUTE), messages, refusals)
    return scene, planted
