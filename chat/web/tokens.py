"""The person's bearer tokens: made, shown once, revoked."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from chat.access import fresh_sign_in, lookup
from chat.access.policy import policy
from chat.services import tokens as service
from chat.web.forms import TokenForm
from chat.web.page_config import site_context
from chat.wire.errors import UserNotFound


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def tokens(request: HttpRequest) -> HttpResponse:
    """List, make and revoke tokens. A new token is shown in the answer to the form that made it, and never again."""
    form = _form(request, request.POST if request.POST.get("action") == "make" else None)
    made = None
    if request.method == "POST":
        if request.POST.get("action") == "revoke":
            return _revoke(request)
        if form.is_valid():
            if "password" in form.fields:
                fresh_sign_in.note(request)
            try:
                made = service.issue(by=request.user, user=request.user, name=form.cleaned_data["name"])
            except UserNotFound:
                return redirect("chat:tokens")  # the session has just ended: to the sign-in page
            except service.TokenRefused as refused:
                form.refuse(refused)
            else:
                form = _form(request, None)
    context = {
        "tokens": service.active(user=request.user),
        "form": form,
        "made": made,
        "obstacle": policy().token_obstacle(request.user),
    }
    return render(request, "chat/tokens.html", {**site_context(request), **context})


def _form(request: HttpRequest, fields: QueryDict | None) -> TokenForm:
    return TokenForm(fields, user=request.user, is_fresh=fresh_sign_in.is_fresh(request))


def _revoke(request: HttpRequest) -> HttpResponse:
    # An unknown token, or somebody else's, is as gone for this person as one that was just revoked.
    try:
        service.revoke(by=request.user, user=request.user, token_id=lookup.key(request.POST.get("token", "")))
    except UserNotFound:
        return redirect("chat:tokens")  # the policy lets the site alone manage tokens, or the session has just ended
    messages.success(request, _("The token is revoked."), fail_silently=True)
    return redirect("chat:tokens")
