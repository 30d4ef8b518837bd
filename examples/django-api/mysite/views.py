from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from django_grantor.permissions import has_scope


@api_view(["GET"])
@permission_classes([IsAuthenticated])
def protected_view(request):
    return Response({"message": f"Hello, {request.user}!"})


@api_view(["POST"])
@has_scope("api:write")
def change_view(request):
    return Response({"changed by": str(request.user), "client": request.auth.client_id})
