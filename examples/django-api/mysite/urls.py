from django.contrib import admin
from django.urls import path

from mysite.views import change_view, protected_view

urlpatterns = [
    path("admin/", admin.site.urls),
    path("protected/", protected_view),
    path("change/", change_view),
]
