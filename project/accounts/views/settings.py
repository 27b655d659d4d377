"""A person's own settings, and the site's."""

from typing import Any

from allauth.account.models import EmailAddress
from django.contrib import messages
from django.contrib.auth import get_user_model, logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from project.accounts import signup, site
from project.accounts.errors import LastOwner
from project.accounts.forms import DeleteAccountForm, ProfileForm, SiteForm


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Change the display name and user name."""
    me: Any = request.user
    if request.method != "POST":
        form = _profile_form(request)
    else:
        with transaction.atomic():
            site.locked()  # if two take one name at once, the second gets an error; and a deleted account stays deleted
            form = _profile_form(request)
            if form.is_valid():
                form.save()
                messages.success(request, _("Your profile is saved."))
                return redirect("profile")
    email = EmailAddress.objects.get_primary(me)
    return render(request, "accounts/profile.html", {"form": form, "email": email or me.email})


def _profile_form(request: HttpRequest) -> ProfileForm:
    # Read the row again: the form changes its instance even if it is invalid, and the rest of the page must show the
    # person unchanged.
    person = get_object_or_404(get_user_model()._default_manager, pk=request.user.pk)
    return ProfileForm(request.POST or None, instance=person)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def delete_account(request: HttpRequest) -> HttpResponse:
    """Delete the account for good, after asking for the password again."""
    form = DeleteAccountForm(request.POST or None, user=request.user)
    if form.is_valid():
        try:
            signup.delete_account(request.user)
        except LastOwner as error:
            form.add_error(None, str(error))
        else:
            logout(request)
            messages.success(request, _("Your account is deleted."))
            return redirect("account_login")
    return render(request, "accounts/delete.html", {"form": form})


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def site_settings(request: HttpRequest) -> HttpResponse:
    """Change the site's name, and who may sign up and invite."""
    if not request.user.is_superuser:
        raise PermissionDenied
    if request.method != "POST":
        return render(request, "accounts/site.html", {"form": SiteForm(instance=site.current())})
    with transaction.atomic():
        form = SiteForm(request.POST, instance=site.locked())
        if form.is_valid():
            form.save()
            messages.success(request, _("The site's settings are saved."))
            return redirect("site_settings")
    return render(request, "accounts/site.html", {"form": form})
