"""The page of invitations, where they are made, shared and revoked."""

from functools import lru_cache
from typing import Any

import segno
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from chat.access.policy import policy
from project.accounts import invitations as service
from project.accounts import site
from project.accounts.errors import AccountError, TooManyInvitations
from project.accounts.forms import InvitationForm
from project.accounts.models import Invitation

SHOWN = 100
"""How many usable and how many past invitations are shown, newest first. Older ones are in the admin."""


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def invitations(request: HttpRequest) -> HttpResponse:
    """The person's invitations (all of them for superusers). Posting makes one, or revokes the one named.

    With ``?ready=1`` it is the last page of the set-up.
    """
    settings = site.current()
    if not service.may_invite(request.user, settings):
        raise PermissionDenied
    if "revoke" in request.POST:
        return _revoke(request)
    form = InvitationForm(request.POST or None)
    if form.is_valid():
        try:
            service.create(by=request.user, **form.options())
        except AccountError as error:
            messages.error(request, str(error))
            # Who may no longer invite may not open this page either.
            return redirect("invitations" if isinstance(error, TooManyInvitations) else "chat:home")
        messages.success(request, _("Here is the new link."))
        return redirect("invitations")
    found = service.visible_to(request.user)
    usable = [_shown(request, each) for each in found.usable()[:SHOWN]]
    past = [_shown(request, each) for each in found.exclude(pk__in=found.usable().values("pk"))[:SHOWN]]
    context = {"form": form, "usable": usable, "past": past, "sign_up": settings.sign_up}
    if "ready" in request.GET and usable:  # the end of the set-up shows the first link and the way on
        context |= {"first": usable[0], "usable": usable[1:]}
    return render(request, "accounts/invitations.html", context)


def _revoke(request: HttpRequest) -> HttpResponse:
    try:
        service.revoke(by=request.user, key=request.POST["revoke"])
        messages.success(request, _("The link is revoked. Nobody gets in with it any more."))
    except AccountError as error:
        messages.error(request, str(error))
    return redirect("invitations")


def _shown(request: HttpRequest, invitation: Invitation) -> dict[str, Any]:
    url = request.build_absolute_uri(reverse("invite", args=[invitation.code]))
    usable = invitation.state == "usable"
    return {
        "pk": invitation.pk,
        "url": url,
        "qr": qr_code(url) if usable else "",
        "state": invitation.state,
        "uses": invitation.uses,
        "max_uses": invitation.max_uses,
        "expires_at": invitation.expires_at,
        "created_at": invitation.created_at,
        "by": policy().name_of(invitation.created_by) if invitation.created_by else "",
        "note": invitation.note,
    }


@lru_cache(maxsize=500)  # drawing one takes 8 ms, and a page may show a hundred
def qr_code(text: str) -> SafeString:
    """An inline SVG without style attributes, which the Content Security Policy would block."""
    drawn = segno.make(text, error="m", boost_error=False).svg_inline(
        scale=4, border=3, dark="#000", light="#fff", omitsize=True, svgclass="qr-code", title=_("QR code of the link")
    )
    return mark_safe(drawn)  # noqa: S308 -- the text is drawn, not written
