"""From where a request comes, for API keys that are allowed from some networks alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Optional, Union

Address = Optional[Union[IPv4Address, IPv6Address]]

#: Stands for the proxy at a Unix socket, which has no address.
UNIX = "unix"


def address_of(meta: dict[str, Any], trusted: Iterable[str]) -> Address:
    """Return the client of a request, None where it is not known.

    The peer, or what trusted proxies say in X-Forwarded-For, read from the right. A trusted proxy
    that names the client in another header alone names nobody.
    """
    trusted = tuple(trusted)
    at, believed = _read(_peer(meta)), peer_is_trusted(meta, trusted)
    hops = [h.strip() for h in str(meta.get("HTTP_X_FORWARDED_FOR", "")).split(",") if h.strip()]
    if not hops and ("HTTP_X_REAL_IP" in meta or "HTTP_FORWARDED" in meta):
        return None if believed else at
    for hop in reversed(hops[-64:]):
        if not believed:
            break
        at = _read(hop)
        believed = within(at, trusted)
    return at


def peer_is_trusted(meta: Mapping[str, Any], trusted: Iterable[str]) -> bool:
    """Say whether a request comes from a trusted proxy itself."""
    trusted = tuple(trusted)
    peer = _peer(meta)
    return within(_read(peer), trusted) if peer else UNIX in trusted


def _peer(meta: Mapping[str, Any]) -> str:
    return str(meta.get("REMOTE_ADDR") or "")


def within(address: Address, networks: Iterable[str]) -> bool:
    """Say whether an address is in one of the networks."""
    return address is not None and any(address in ip_network(n, strict=False) for n in networks if n != UNIX)


def _read(text: str) -> Address:
    try:
        found = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
