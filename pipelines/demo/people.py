"""The people of the synthetic shop and what it sells: a person is a number, and the same number is the same person."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any
from unicodedata import normalize

FIRST = {
    "en": ("Alice", "Ben", "Chloe", "Daniel", "Emma", "Finn", "Grace", "Harry", "Isla", "Jack", "Kate", "Leo"),
    "pl": ("Ania", "Bartek", "Celina", "Dawid", "Ewa", "Filip", "Gosia", "Hubert", "Iga", "Jakub", "Kasia", "Łukasz"),
}
LAST = {
    "en": ("Archer", "Brook", "Carter", "Dale", "Fletcher", "Hill", "Marsh", "North", "Reed", "Stone", "Woods"),
    "pl": ("Baran", "Cichy", "Dudek", "Gajda", "Jeleń", "Kania", "Lis", "Mazur", "Sikora", "Wilk", "Zając"),
}
REGION = {"en": "en-GB", "pl": "pl-PL"}

CATALOGUE = (
    ("FW-100", "Fernweh Ridge 2 tent", "tents", 289.0),
    ("FW-210", "Fernweh Trail 45 pack", "packs", 149.0),
    ("FW-330", "Fernweh Scree boots", "boots", 179.0),
    ("FW-415", "Fernweh Ember stove", "cooking", 79.0),
    ("KO-110", "Kolibri Breeze jacket", "clothing", 119.0),
    ("KO-220", "Kolibri Feather fleece", "clothing", 69.0),
    ("KO-305", "Kolibri Dawn shirt", "clothing", 39.0),
    ("KO-470", "Kolibri Dune hat", "clothing", 29.0),
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a name. `number` makes all identifiers unique."""

    number: int
    first: str
    last: str
    language: str

    @property
    def name(self) -> str:
        return f"{self.first} {self.last} #{self.number}"

    @property
    def slug(self) -> str:
        return f"{plain_letters(self.first)}.{plain_letters(self.last)}.{self.number}"

    @property
    def email(self) -> str:
        return f"{self.slug}@people.example"

    @property
    def customer(self) -> str:
        return f"c-{self.number:06}"

    @property
    def cookie(self) -> str:
        return f"cookie-{self.number:06}"

    @property
    def handle(self) -> str:
        """The name on the network "chirp"."""
        return self.slug.replace(".", "_")

    @property
    def locale(self) -> str:
        return REGION[self.language]


def person(number: int, chance: Random) -> Person:
    """Person `number`, drawn from `chance`."""
    language = "pl" if chance.random() < 0.4 else "en"
    return Person(number, chance.choice(FIRST[language]), chance.choice(LAST[language]), language)


def plain_letters(name: str) -> str:
    """A name in the small letters of an address."""
    return normalize("NFKD", name.replace("Ł", "L").replace("ł", "l")).encode("ascii", "ignore").decode().lower()


def product(chance: Random, quantity: int = 1) -> dict[str, Any]:
    """Something from the catalogue as a product block of a track call."""
    number, name, category, price = chance.choice(CATALOGUE)
    brand = "Fernweh" if number.startswith("FW") else "Kolibri"
    return {
        "product_id": number,
        "name": name,
        "category": category,
        "brand": brand,
        "price": price,
        "quantity": quantity,
    }
