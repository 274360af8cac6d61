"""What people post about the brands, in words that leave no doubt."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

Tone = Mapping[str, tuple[str, ...]]

NEGATIVE: Tone = {
    "en": (
        "@{handle} worst customer service ever. My tent arrived broken and nobody answers. I am so angry!",
        "@{handle} terrible quality, the zip broke after one day. Horrible, I want my money back!",
        "@{handle} I hate this. Two weeks late, wrong size and rude support. Never again, awful company.",
        "@{handle} this is the worst jacket I ever bought. It leaks, I am very disappointed and angry.",
    ),
    "pl": (
        "@{handle} najgorsza obsługa klienta. Namiot przyszedł zepsuty i nikt nie odpowiada. Jestem wściekła!",
        "@{handle} fatalna jakość, najgorszy zakup. Zamek nie działa, okropne, tragedia.",
        "@{handle} najgorsza firma, nienawidzę was. Nikt nie odpowiada, to jest tragedia.",
        "@{handle} to jest tragedia. Nie działa, nie ma zwrotu pieniędzy, nie polecam nikomu.",
    ),
}
POSITIVE: Tone = {
    "en": (
        "@{handle} I love my new boots, absolutely great quality. Thank you so much!",
        "@{handle} best tent ever, amazing and beautiful. I am so happy with it, thanks!",
        "@{handle} wonderful service, friendly and fast. Great job, love you!",
        "@{handle} awesome jacket, perfect fit, I love it. Thank you!",
    ),
    "pl": (
        "@{handle} uwielbiam moje nowe buty, wspaniała jakość. Bardzo dziękuję!",
        "@{handle} najlepszy namiot, jest piękny i świetny. Jestem taka szczęśliwa, dzięki!",
        "@{handle} wspaniała obsługa, miła i szybka. Świetna robota, kocham was!",
        "@{handle} super kurtka, idealnie pasuje, uwielbiam ją. Dziękuję!",
    ),
}
NEUTRAL: Tone = {
    "en": (
        "Does anybody know when {brand} opens on Saturday?",
        "{brand} has a shop in the station now.",
        "Is the {brand} catalogue out this week?",
    ),
    "pl": (
        "Gdzie jest sklep {brand}?",
        "O której jutro otwiera się sklep {brand}?",
        "Czy sklep {brand} jest dziś otwarty?",
    ),
}


def post(tone: Tone, language: str, brand: str, chance: Random) -> str:
    """A post of one tone (NEGATIVE, POSITIVE or NEUTRAL) about `brand`, whose handle is its name in small letters."""
    return chance.choice(tone[language]).format(handle=brand.lower(), brand=brand)
