"""Permissions by scope, for classes and for functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.core.exceptions import ImproperlyConfigured
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from .exceptions import InsufficientScopeError
from .token import Malformed, Token, check_scope_token

F = TypeVar("F", bound=Callable[..., Any])

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Requirement:
    """What a view wants of a token's scope, by method. A method without a requirement is refused."""

    def __init__(self, every: tuple[str, ...], by_method: dict[str, str | tuple[str, ...]]) -> None:
        self._every = every
        self._by_method: dict[str, tuple[str, ...]] = {}
        for name, needed in by_method.items():
            needs = (needed,) if isinstance(needed, str) else tuple(needed)
            for method in self._methods(name):
                if name in _METHODS or method not in by_method:
                    self._by_method[method] = needs
        if not every and not by_method:
            raise ImproperlyConfigured("HasScope needs at least one scope")
        for scope in (*every, *(s for needs in self._by_method.values() for s in needs)):
            try:
                check_scope_token(scope)
            except Malformed as e:
                raise ImproperlyConfigured(f"HasScope({scope!r}): {e}") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Requirement) and (self._every, self._by_method) == (
            other._every,
            other._by_method,
        )

    def __hash__(self) -> int:
        return hash((self._every, tuple(sorted(self._by_method.items()))))

    @staticmethod
    def _methods(name: str) -> tuple[str, ...]:
        if name == "read":
            return ("GET",)
        if name == "write":
            return _METHODS[1:]
        if name in _METHODS:
            return (name,)
        raise ImproperlyConfigured(
            f"HasScope has no {name}: use read, write, or one of {', '.join(_METHODS)}"
        )

    def of(self, method: str) -> tuple[str, ...] | None:
        """Return the scopes that a method needs, None where no token may use it."""
        method = "GET" if method in SAFE_METHODS else method
        if method in self._by_method:
            return self._every + self._by_method[method]
        return self._every or None

    def is_met(self, request: Request) -> bool:
        """Say whether the request's token has what its method needs."""
        token, needed = request.auth, self.of(request.method or "")
        return isinstance(token, Token) and needed is not None and token.has_scope(*needed)

    def refusal(self, request: Request) -> Exception:
        """Return what to raise: 401 without a token, else 403 with the scope."""
        if not isinstance(request.auth, Token):
            return NotAuthenticated()
        return InsufficientScopeError(
            self.of(request.method or "") or (), dpop=bool(request.auth.key_thumbprint)
        )


class _ScopePermission(BasePermission):
    """The base of what HasScope makes."""

    requirement: Requirement

    def has_permission(self, request: Request, view: Any) -> bool:
        if self.requirement.is_met(request):
            return True
        if isinstance(request.auth, Token) and self._stands_alone(view):
            raise self.requirement.refusal(request)
        return False  # DRF's own answer, or another part of an expression decides

    def _stands_alone(self, view: Any) -> bool:
        """Say whether the view lists this permission itself, not within an expression."""
        return any(
            isinstance(p, _ScopePermission) and p.requirement == self.requirement
            for p in view.get_permissions()
        )


def HasScope(
    *scopes: str,
    read: str | tuple[str, ...] | None = None,
    write: str | tuple[str, ...] | None = None,
    **methods: str | tuple[str, ...],
) -> type[BasePermission]:
    """Make a permission class that wants scopes of the token.

    scopes: all of them, for every method. read: for GET, HEAD and OPTIONS. write: for the others.
    GET, POST, PUT, PATCH, DELETE: for one method, before read and write. A method that no argument
    names is refused. The classes combine with ``|``, ``&`` and ``~``.

        permission_classes = [HasScope(read="orders:read", write="orders:write")]
    """
    by_method = dict(methods)
    by_method.update({k: v for k, v in (("read", read), ("write", write)) if v is not None})
    attributes = {
        "requirement": Requirement(scopes, by_method),
        "__doc__": f"Wants {' '.join(scopes) or by_method}.",
    }
    return cast("type[BasePermission]", type("HasScope", (_ScopePermission,), attributes))


def has_scope(*scopes: str, **by_method: Any) -> Callable[[F], F]:
    """Make a decorator for function views and methods of views. Its arguments are HasScope's.

    Write it below @api_view and @action, in any order with their other decorators.

        @api_view(["GET"])
        @has_scope("orders:read")
        def orders(request): ...
    """
    requirement = Requirement(scopes, by_method)

    def decorate(view: F) -> F:
        if hasattr(view, "cls"):
            raise ImproperlyConfigured("write @has_scope below @api_view, not above")

        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            request = next((a for a in args[:2] if isinstance(a, Request)), None)
            if request is None:
                raise ImproperlyConfigured("@has_scope is for views of Django REST framework")
            if not requirement.is_met(request):
                raise requirement.refusal(request)
            return view(*args, **kwargs)

        return cast("F", checked)

    return decorate
