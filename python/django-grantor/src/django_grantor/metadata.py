"""The metadata of this API, by which clients find the authorization server and the scopes (RFC 9728).

``path("", include("django_grantor.metadata"))`` in the root URLconf serves it, with RESOURCE_METADATA.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from .conf import PROOF_ALGORITHMS, Config, get_config

WELL_KNOWN = "/.well-known/oauth-protected-resource"


def location(resource: str) -> str:
    """Return the URL of the metadata: the well-known part stands before the path (RFC 9728 §3.1)."""
    parts = urlsplit(resource)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{_path(resource)}{query}"


def _path(resource: str) -> str:
    path = urlsplit(resource).path
    return "" if path == "/" else path


def document(config: Config) -> dict[str, Any]:
    """Return what the settings say. A list without elements is left out (RFC 9728 §3.2)."""
    members = {
        "resource": config.audience[0],
        "authorization_servers": [config.issuer],
        "scopes_supported": list(config.scopes_supported),
        "bearer_methods_supported": ["header"],
        "resource_name": config.resource_name,
        "resource_documentation": config.resource_documentation,
        "dpop_signing_alg_values_supported": list(PROOF_ALGORITHMS) if config.dpop else [],
        "dpop_bound_access_tokens_required": config.dpop_required,
        "tls_client_certificate_bound_access_tokens": bool(config.client_cert_header),
    }
    return {name: value for name, value in members.items() if value}


@csrf_exempt
@require_http_methods(["GET", "HEAD", "OPTIONS"])
def metadata(request: HttpRequest, path: str) -> HttpResponse:
    """Answer with the metadata, to web pages of every origin too: nothing in it is secret."""
    config = get_config()
    if not config.resource_metadata or path != _path(config.audience[0]):
        raise Http404
    if request.method == "OPTIONS":  # a preflight, for headers such as MCP-Protocol-Version
        answer = HttpResponse(status=204)
        answer["Access-Control-Allow-Methods"] = "GET, HEAD"
        answer["Access-Control-Allow-Headers"] = "*"
    else:
        answer = JsonResponse(document(config))
        answer["Cache-Control"] = "public, max-age=300"
    answer["Access-Control-Allow-Origin"] = "*"
    return answer


urlpatterns = [
    re_path(r"^\.well-known/oauth-protected-resource(?P<path>.*)$", metadata, name="grantor_metadata"),
]
