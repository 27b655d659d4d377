"""Addresses of the Hearth site: the chat at the root, accounts and settings, the admin."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

# One log-in page, with one set of limits, for the admin too.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


def icon(request: HttpRequest) -> HttpResponse:
    """Where browsers look for an icon on pages that name none, such as the admin's."""
    return redirect(static("chat/icon.svg"))


handler500 = "project.unwritable.answer"
urlpatterns = [
    path("favicon.ico", icon),
    # One page for a new password, too: it offers to revoke tokens, and limits how often the old one is guessed.
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin/", admin.site.urls),
    path("", include("project.accounts.urls")),
    path("", include("chat.urls")),
]
