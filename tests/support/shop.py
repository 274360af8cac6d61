"""A small shop that tests share: two brands, two languages, one campaign for each trigger, nobody in control."""

from __future__ import annotations

from msgspec.structs import replace

from schemas.records import DAY, HOUR
from schemas.workspace import Brand, Campaign, Cap, Content, Cuts, Policy, Sink, Tenant, WriteKey

SECRET = bytes(range(32))
SERVER_KEY, BROWSER_KEY = "wk-server", "wk-browser"

CUTS = Cuts("fixed-1", recency=(30, 60, 120, 240), frequency=(2, 3, 4, 6), monetary=(5_000, 10_000, 20_000, 50_000))
POLICY = Policy(
    caps=(Cap("email", 1, 16 * HOUR), Cap("*", 2, DAY), Cap("*", 5, 7 * DAY)),
    care_hold=72 * HOUR,
    languages=("en", "pl"),
    timezone="UTC",
    cuts=CUTS,
)


def shop(*campaigns: Campaign, name: str = "shop", policy: Policy = POLICY) -> Tenant:
    """The tenant; `campaigns` replace those of the same name (or are added)."""
    chosen = {campaign.name: campaign for campaign in (*CAMPAIGNS, *campaigns)}
    return Tenant(
        name=name,
        keys=(WriteKey("backend", SERVER_KEY, "server"), WriteKey("site", BROWSER_KEY, "browser")),
        brands=(Brand("Fernweh", ("fernweh",), ("chirp:fernweh",)), Brand("Kompass", ("kompass",))),
        campaigns=tuple(chosen.values()),
        policy=policy,
        sinks={"email": Sink("recorder")},
        version="shop-1",
    )


def campaign(name: str, **changes: object) -> Campaign:
    """One of the shop's campaigns with some settings changed: `shop(campaign("welcome", control=10_000))`."""
    found = next(campaign for campaign in CAMPAIGNS if campaign.name == name)
    return replace(found, **changes)


def _mail(en: tuple[str, str], pl: tuple[str, str], late: tuple[str, str] = ("", "")) -> dict[str, dict[str, Content]]:
    contents = {}
    for language, (subject, text), late_text in (("en", en, late[0]), ("pl", pl, late[1])):
        contents[language] = Content({"subject": subject, "text": text}, {"text": late_text} if late_text else {})
    return {"email": contents}


CAMPAIGNS = (
    Campaign(
        name="confirm",
        trigger="signup_confirmation",
        klass="transactional",
        category="account",
        channels=("email",),
        after=(0,),
        expires=7 * DAY,
        reentry=0,
        content=_mail(
            ("Please confirm your address", "Confirm: https://shop.example/confirm?token={{ token }}"),
            ("Potwierdź adres", "Potwierdź: https://shop.example/confirm?token={{ token }}"),
        ),
        counts_to_cap=False,
        obeys_cap=False,
    ),
    Campaign(
        name="welcome",
        trigger="welcome",
        klass="marketing",
        category="marketing",
        channels=("email",),
        after=(0,),
        expires=3 * DAY,
        reentry=None,
        content=_mail(
            ("Welcome, {{ first_name or 'friend' }}", "Good to have you here."),
            ("Witaj, {{ first_name or 'przyjacielu' }}", "Dobrze, że jesteś."),
            ("We are late, but glad: welcome.", "Spóźnione, ale szczere: witaj."),
        ),
        obeys_cap=False,
    ),
    Campaign(
        name="receipt",
        trigger="order_confirmation",
        klass="transactional",
        category="orders",
        channels=("email",),
        after=(0,),
        expires=3 * DAY,
        reentry=0,
        content=_mail(
            ("Your order {{ order.id }}", "Thank you. Total: {{ order.value }} {{ order.currency }}"),
            ("Twoje zamówienie {{ order.id }}", "Dziękujemy. Razem: {{ order.value }} {{ order.currency }}"),
        ),
        counts_to_cap=False,
        obeys_cap=False,
    ),
    Campaign(
        name="cart",
        trigger="abandoned_cart",
        klass="marketing",
        category="marketing",
        channels=("email",),
        after=(4 * HOUR,),
        expires=72 * HOUR,
        reentry=7 * DAY,
        content=_mail(
            (
                "{{ first_name or 'Hello' }}, your cart is waiting",
                "{% for item in cart.items %}{{ item.quantity }} x {{ item.name }}\n{% endfor %}",
            ),
            (
                "{{ first_name or 'Cześć' }}, Twój koszyk czeka",
                "{% for item in cart.items %}{{ item.quantity }} x {{ item.name }}\n{% endfor %}",
            ),
        ),
    ),
    Campaign(
        name="segments",
        trigger="rfm_transition",
        klass="marketing",
        category="marketing",
        channels=("email",),
        after=(0,),
        expires=DAY,
        reentry=30 * DAY,
        content=_mail(
            ("{{ first_name or 'Hello' }}, something for you", "From {{ segment.old }} to {{ segment.new }}"),
            ("{{ first_name or 'Cześć' }}, coś dla Ciebie", "Z {{ segment.old }} do {{ segment.new }}"),
        ),
        to=("Potential loyalist", "Loyal", "Champion", "At risk", "Hibernating"),
    ),
)
