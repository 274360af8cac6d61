"""Which hosts a channel may call: public addresses only, each checked after resolving and then connected to as is."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from socket import AddressFamily

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

_EMBEDDING = tuple(
    ip_network(text)
    for text in ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fec0::/10")
)
_SERVICE = (ip_network("192.0.0.0/24"), ip_network("198.18.0.0/15"), ip_network("192.88.99.0/24"))


class PrivateAddress(OSError):
    """A host whose address is not a public one: never connected to."""


def is_public(text: str) -> bool:
    """Whether an address may be called: global, no multicast, and no IPv4 address hidden in an IPv6 one."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return address.is_global and not address.is_multicast and not _hides(address)


def _hides(address: IPv4Address | IPv6Address) -> bool:
    networks = _EMBEDDING if address.version == 6 else _SERVICE
    return any(address in network for network in networks)


class PublicResolver(AbstractResolver):
    """Resolves once and refuses a host if any of its addresses is not public, so rebinding a name gains nothing."""

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AddressFamily.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of `host`. Raises PrivateAddress."""
        found = await self._inner.resolve(host, port, family)
        refused = [entry["host"] for entry in found if not is_public(entry["host"])]
        if refused:
            raise PrivateAddress(f"expected public addresses only, {host} has {refused[0]}")
        return found

    async def close(self) -> None:
        """Free the inner resolver."""
        await self._inner.close()
