"""Who may post, found by the write key wherever an SDK puts it, and how fast each tenant may."""

from __future__ import annotations

import binascii
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from schemas.workspace import Tenant

Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key it is, whether a server holds it, and the key's name (the source of its records)."""

    tenant: str
    trust: str
    source: str


class UnknownKey(ValueError):
    """A write key that no tenant has."""


class Callers:
    """All write keys of all tenants, and the `rates` at which those may post."""

    def __init__(self, tenants: Iterable[Tenant], rates: Rates) -> None:
        self.rates = rates
        self._by_key = {
            key.key: Caller(tenant.name, key.trust, key.name) for tenant in tenants for key in tenant.keys if key.key
        }
        self._by_header: dict[bytes, Caller] = {}

    def of_request(self, headers: Headers, query: bytes) -> Caller | None:
        """The caller by Basic auth, `X-Write-Key` or the query's `writeKey`; None if no key is there.

        Raises UnknownKey.
        """
        basic = headers.get(b"authorization")
        if basic:
            return self._by_header.get(basic) or self._of_basic(basic)
        written = headers.get(b"x-write-key")
        if written:
            return self.of_key(written.decode("latin-1"))
        if b"writeKey=" in query:
            return self.of_key(parse_qs(query.decode("latin-1")).get("writeKey", [""])[0])
        return None

    def of_key(self, key: str) -> Caller:
        """The caller with this key; what follows a colon (a secret that some SDKs add) does not count."""
        caller = self._by_key.get(key) or self._by_key.get(key.partition(":")[0])
        if caller is None:
            raise UnknownKey("expected a write key of a tenant; see keys.yaml of the workspace")
        return caller

    def _of_basic(self, header: bytes) -> Caller:
        scheme, _, coded = header.partition(b" ")
        try:
            key = b64decode(coded.strip(), validate=True).decode() if scheme.lower() == b"basic" else ""
        except (binascii.Error, UnicodeDecodeError):
            key = ""
        caller = self.of_key(key)
        if len(self._by_header) < 4 * len(self._by_key):  # the same few headers come again and again
            self._by_header[header] = caller
        return caller


class Rates:
    """A token bucket for each tenant: `rate` records a second, `burst` at once."""

    def __init__(self, rate: float, burst: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._now = rate, burst, now
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, tenant: str, cost: float) -> float:
        """Take `cost` tokens, also on credit, and return 0; without a token left, the seconds until there is one."""
        now = self._now()
        left, since = self._buckets.get(tenant, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        if left < 1:
            return (1 - left) / self._rate
        self._buckets[tenant] = left - cost, now
        return 0.0
