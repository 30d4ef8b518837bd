"""Whether two texts name one resource server. It says what the Go package scopes says of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


def names(audience: Iterable[str], resources: Iterable[str]) -> bool:
    """Say whether an audience names one of the resources, in any spelling of its URI.

    URIs are compared by RFC 3986 6.2.2, and those of http and https by 6.2.3: "HTTPS://a.example:443/" names
    what "https://a.example" names. Texts that are no absolute URIs are the same only byte for byte.
    """
    aud, wanted = set(audience), set(resources)
    if aud & wanted:  # nearly all
        return True
    return not {normal_uri(a) for a in aud}.isdisjoint(normal_uri(w) for w in wanted)


def normal_uri(text: str) -> str:
    """Return the one spelling of a URI that names compares."""
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        return text
    scheme = _lower(scheme)
    hierarchy, query_mark, query = _normal_escapes(rest).partition("?")
    if hierarchy.startswith("//"):
        authority, slash, path = hierarchy[2:].partition("/")
        path = _without_dots(slash + path)
        user, at, host = authority.rpartition("@")
        host = _lower(host)
        if port := _DEFAULT_PORTS.get(scheme):
            host = host.removesuffix(port).removesuffix(":")
            path = path or "/"
        hierarchy = "//" + user + at + host + path
    return scheme + ":" + hierarchy + query_mark + query


def _lower(text: str) -> str:
    """Fold ASCII alone, as Go does for what a URI can hold."""
    return "".join(c.lower() if c.isascii() else c for c in text)


def _normal_escapes(text: str) -> str:
    """Decode the escapes of unreserved characters (RFC 3986 6.2.2.2)."""
    if "%" not in text or _BROKEN.search(text):
        return text

    def one(escape: re.Match[str]) -> str:
        c = chr(int(escape[1], 16))
        return c if c in _UNRESERVED else escape[0].upper()

    return _ESCAPE.sub(one, text)


def _without_dots(path: str) -> str:
    """Remove the segments "." and ".." of a path behind an authority (RFC 3986 5.2.4)."""
    if "/." not in path:
        return path
    segments = path[1:].split("/")
    kept: list[str] = []
    for s in segments:
        if s == "..":
            del kept[-1:]
        elif s != ".":
            kept.append(s)
    if segments[-1] in (".", ".."):  # the folder itself
        kept.append("")
    return "/" + "/".join(kept)
