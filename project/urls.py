"""URLs of the Hearth site: the chat at the root, accounts and settings, and the admin."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

# The admin uses the same login page, with the same rate limits.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


def icon(request: HttpRequest) -> HttpResponse:
    """The icon of pages that name none, such as the admin's: browsers look for it here."""
    return redirect(static("chat/icon.svg"))


handler400 = "project.error_pages.bad_request"
handler403 = "project.error_pages.permission_denied"
handler404 = "project.error_pages.page_not_found"
handler500 = "project.unwritable.answer"
urlpatterns = [
    path("favicon.ico", icon),
    # The admin also uses the same page to change the password: it offers to revoke tokens, and its rate limit keeps
    # the old password from being guessed.
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin/", admin.site.urls),
    path("", include("project.accounts.urls")),
    path("", include("chat.urls")),
]
