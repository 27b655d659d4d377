"""A site that has the admin and none of the chat's own pages."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("backstage/", admin.site.urls)]
