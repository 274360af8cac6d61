"""What a record says about its person, fit to be shown to that person: stripped, bounded, in one form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from operator import attrgetter

from msgspec.structs import astuple

from schemas.records import Traits
from transforms.logic import identifiers
from transforms.logic.calls import Context, Place, Words
from transforms.logic.products import label

_NAME = 100
_NOTHING = Traits()
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+\-]*(?:/[A-Za-z0-9_+\-]+){0,2}")


_FIELDS = tuple(network for network in identifiers.NETWORKS if network in Words.__struct_fields__)
_names_of = attrgetter(*_FIELDS)


def traits_of(around: Context, said: Sequence[Words]) -> Traits | None:
    """The traits of a call (those of its own first, then those of its context); None if it says nothing."""
    found = _read(said[0]) if said else _NOTHING
    for words in said[1:]:
        found = _joined(found, _read(words))
    if around.locale or around.timezone:
        found = _joined(found, Traits(locale=_locale(around.locale), timezone=_zone(around.timezone)))
    return None if found == _NOTHING else found


def handle_of(words: Words) -> str:
    """The first handle on a social network that the traits name."""
    listed, names = words.handles, _names_of(words)
    if not listed and not any(names):
        return ""
    named = listed if isinstance(listed, dict) else {}
    pairs = [*named.items(), *zip(_FIELDS, names, strict=True)]
    return next(filter(None, (identifiers.handle(network, name) for network, name in pairs if name)), "")


def _read(words: Words) -> Traits:
    first, last = label(words.first or words.first_name, _NAME), label(words.last or words.last_name, _NAME)
    if not first and not last:
        first, _, last = label(words.name, 2 * _NAME).partition(" ")
    place, firm = words.address, words.company
    country = words.country or (place.country if isinstance(place, Place) else None)
    return Traits(
        first[:_NAME],
        last.strip()[:_NAME],
        _locale(words.locale),
        _zone(words.timezone),
        label(country, 60),
        _birthday(words.birthday),
        label(firm.name if isinstance(firm, Place) else firm, _NAME),
    )


def _joined(first: Traits, second: Traits) -> Traits:
    """The first one's word where it has one."""
    return Traits(*(one or other for one, other in zip(astuple(first), astuple(second), strict=True)))


def _locale(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= 35 and _LOCALE.fullmatch(value) else ""


def _zone(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= 64 and _ZONE.fullmatch(value) else ""


def _birthday(value: object) -> str:
    try:
        return date.fromisoformat(value[:10]).isoformat() if isinstance(value, str) else ""
    except ValueError:
        return ""
