"""Which of a tenant's brands a text names, and whether it speaks to them or about them.

    Gazetteer([Brand("Fernweh", ("fernweh",), ("chirp:fernweh",))]).named("@fernweh my boots!", "chirp")
    ->  [Named("Fernweh", directed=True)]

Words are found whole, whatever their case, also inside hashtags that run them together; never inside page addresses.
The text is cut into words once and each is looked up, so the time is linear in the text and does not depend on how many
brands there are. Only the first `LIMIT` characters are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from schemas.workspace import Brand
from transforms.logic.wording import plain

LIMIT = 4_000

_WORD = re.compile(r"\w+|[^\w\s]")
_ADDRESS = re.compile(r"(?:https?://|www\.)\S*")
_HANDLE = re.compile(r"(?<![\w@])@(\w+(?:[.\-]\w+)*(?:@\w+(?:[.\-]\w+)*)?)")
_SPACELESS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")

Words = tuple[str, ...]


class Named(Struct, frozen=True, gc=False):
    """A brand that a text names; `directed` means that the text speaks to one of the brand's own accounts."""

    brand: str
    directed: bool


class Gazetteer:
    """The names and accounts of one tenant's brands, ready for lookup."""

    def __init__(self, brands: Sequence[Brand]) -> None:
        self.brands = tuple(brand.name for brand in brands)
        self._accounts = {_folded(handle): brand.name for brand in brands for handle in brand.handles}
        self._names: dict[str, list[tuple[Words, str]]] = {}
        self._spaceless: list[tuple[str, str]] = []
        for brand in brands:
            for word in brand.words:
                self._add(_folded(word), brand.name)

    def _add(self, word: str, brand: str) -> None:
        if _SPACELESS.search(word):  # scripts that do not part words
            self._spaceless.append((word, brand))
            return
        found = tuple(_WORD.findall(word))
        for form in {found, ("".join(found),)} if word.replace(" ", "").isalnum() else {found}:
            if form and form[0]:
                self._names.setdefault(form[0], []).append((form, brand))

    def owns(self, network: str, author: str) -> bool:
        """Whether the author is one of the tenant's own accounts."""
        return f"{network}:{author.removeprefix('@')}".casefold() in self._accounts

    def named(self, text: str, network: str) -> list[Named]:
        """Each brand that the text names, in the order in which the brands are configured."""
        folded = _ADDRESS.sub(" ", _folded(text))
        addressed = set(self._addressed(folded, network))
        found = addressed | set(self._spoken(folded))
        return [Named(brand, brand in addressed) for brand in self.brands if brand in found]

    def _addressed(self, text: str, network: str) -> Iterator[str]:
        for handle in _HANDLE.findall(text):
            for name in (handle, handle.partition("@")[0]):
                brand = self._accounts.get(f"{network.casefold()}:{name}")
                if brand is not None:
                    yield brand

    def _spoken(self, text: str) -> Iterator[str]:
        words = _WORD.findall(text)
        for place, word in enumerate(words):
            for form, brand in self._names.get(word, ()):
                if len(form) == 1 or tuple(words[place : place + len(form)]) == form:
                    yield brand
        yield from (brand for word, brand in self._spaceless if word in text)


def gazetteers(tenants: Iterable[tuple[str, Sequence[Brand]]]) -> dict[str, Gazetteer]:
    """One gazetteer a tenant."""
    return {tenant: Gazetteer(brands) for tenant, brands in tenants}


def _folded(text: str) -> str:
    return plain(text, LIMIT).casefold()
