"""The one view."""

from django.urls import path
from rest_framework.decorators import api_view
from rest_framework.response import Response


@api_view(["GET"])
def view(request):
    return Response({"for": str(request.user)})


urlpatterns = [path("x", view)]
