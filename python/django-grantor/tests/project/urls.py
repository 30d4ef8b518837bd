"""Views of every kind."""

from django.urls import include, path
from rest_framework.decorators import api_view, permission_classes, throttle_classes
from rest_framework.permissions import AllowAny, IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from django_grantor.authentication import GrantorAuthentication
from django_grantor.permissions import HasScope, has_scope
from django_grantor.throttling import ClientRateThrottle


def who(request):
    auth = request.auth
    return Response(
        {
            "user": str(request.user),
            "pk": str(request.user.pk),
            "authenticated": request.user.is_authenticated,
            "machine": bool(auth and auth.is_machine),
            "scope": sorted(auth.scope) if auth else None,
            "client": auth.client_id if auth else None,
        }
    )


@api_view(["GET"])
def protected(request):
    return who(request)


@api_view(["GET"])
@permission_classes([AllowAny])
def open_to_all(request):
    return who(request)


@api_view(["GET", "POST"])
@has_scope(read="orders:read", write="orders:write")
def decorated(request):
    return who(request)


@api_view(["GET"])
@permission_classes([IsAuthenticated])
@has_scope("orders:write")
def decorated_below(request):
    return who(request)


@api_view(["GET"])
@has_scope("orders:write")
@permission_classes([IsAuthenticated])
def decorated_above(request):
    return who(request)


class Orders(APIView):
    permission_classes = [HasScope(read="orders:read", POST="orders:write")]

    def get(self, request):
        return who(request)

    post = delete = get


class Either(APIView):
    permission_classes = [IsAdminUser | HasScope("orders:write")]

    def get(self, request):
        return who(request)


class EitherBack(APIView):
    permission_classes = [HasScope("orders:write") | IsAdminUser]

    def get(self, request):
        return who(request)


class Both(APIView):
    permission_classes = [(IsAuthenticated & HasScope("orders:write")) | IsAdminUser]

    def get(self, request):
        return who(request)


class Dynamic(ViewSet):
    def get_permissions(self):
        return [HasScope("orders:write")()]

    def list(self, request):
        return who(request)


class Migrating(GrantorAuthentication):
    pass_on_others = True


class Mixed(APIView):
    authentication_classes = [Migrating]
    permission_classes = [AllowAny]

    def get(self, request):
        return who(request)


class Another(APIView):
    class Auth(GrantorAuthentication):
        audience = "https://another.example.com"

    authentication_classes = [Auth]

    def get(self, request):
        return who(request)


@api_view(["GET"])
@throttle_classes([ClientRateThrottle])
def throttled(request):
    return who(request)


urlpatterns = [
    path("protected", protected),
    path("open", open_to_all),
    path("decorated", decorated),
    path("decorated-below", decorated_below),
    path("decorated-above", decorated_above),
    path("orders", Orders.as_view()),
    path("either", Either.as_view()),
    path("either-back", EitherBack.as_view()),
    path("both", Both.as_view()),
    path("dynamic", Dynamic.as_view({"get": "list"})),
    path("mixed", Mixed.as_view()),
    path("another", Another.as_view()),
    path("throttled", throttled),
    path("api/", include("django_grantor.urls")),
    path("", include("django_grantor.metadata")),
]
