"""The first run, at one URL: it shows the next step, and redirects once all are done."""

from contextlib import suppress
from typing import Any

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from project.accounts import first_run, known_browsers, setup_code
from project.accounts.errors import AlreadySetUp
from project.accounts.first_run import Stage
from project.accounts.forms import AccessForm, FirstRoomsForm, OwnerForm, SetupCodeForm
from project.accounts.models import SiteSettings

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
CODE_KEY = "setup_code_given"
STEPS = (Stage.OWNER, Stage.ROOMS, Stage.ACCESS)


@never_cache
@sensitive_post_parameters()
def setup(request: HttpRequest) -> HttpResponse:
    """Show or take the next step of the first run."""
    stage = first_run.stage()
    # Tell somebody whose form came second that they are too late, instead of showing the login page.
    if stage != Stage.OWNER and not request.user.is_authenticated:
        return _too_late(request) if request.method == "POST" else redirect("account_login")
    if stage == Stage.DONE or (stage != Stage.OWNER and not request.user.is_superuser):
        return redirect("chat:home")
    if stage == Stage.OWNER:
        return _owner(request)
    return _rooms(request) if stage == Stage.ROOMS else _access(request)


def _owner(request: HttpRequest) -> HttpResponse:
    if not request.session.get(CODE_KEY):
        return _code(request)
    form = OwnerForm(request.POST or None)
    if not form.is_valid():
        return _show(request, Stage.OWNER, form)
    try:
        owner = first_run.make_owner(lambda: form.save(request))
    except AlreadySetUp:
        return _too_late(request)
    login(request, owner, backend=BACKEND)
    request.session.pop(CODE_KEY, None)
    response = redirect("setup")
    known_browsers.remember(request, response, owner)
    return response


def _code(request: HttpRequest) -> HttpResponse:
    """Ask for the code, or take it from a form, or from the link that the site printed."""
    form = SetupCodeForm(request.POST or ({"code": request.GET["code"]} if "code" in request.GET else None))
    if not form.is_valid():
        return _show(request, Stage.OWNER, form, asks_for_code=True)
    if setup_code.is_right(form.cleaned_data["code"]):
        request.session[CODE_KEY] = True
        return redirect("setup")
    if not setup_code.may_go_on(request):
        return render(request, "429.html", status=429)
    form.add_error("code", _("That is not the code."))
    return _show(request, Stage.OWNER, form, asks_for_code=True)


def _rooms(request: HttpRequest) -> HttpResponse:
    suggested = {"name": "", "rooms": "\n".join((_("General"), _("Random")))}
    form = FirstRoomsForm(request.POST or None, initial=suggested)
    if not form.is_valid():
        return _show(request, Stage.ROOMS, form)
    with suppress(AlreadySetUp):  # the form was sent twice: show the next step
        first_run.name_site(request.user, name=form.cleaned_data["name"], rooms=form.cleaned_data["rooms"])
    return redirect("setup")


def _access(request: HttpRequest) -> HttpResponse:
    form = AccessForm(request.POST or None, initial={"sign_up": SiteSettings.SignUp.INVITATION})
    if not form.is_valid():
        return _show(request, Stage.ACCESS, form)
    try:
        invitation = first_run.decide_access(request.user, sign_up=form.cleaned_data["sign_up"])
    except AlreadySetUp:
        return redirect("chat:home")
    if invitation:
        return redirect(f"{reverse('invitations')}?ready=1")
    messages.success(request, _("Your site is ready."))
    return redirect("chat:home")


def _show(request: HttpRequest, stage: Stage, form: Any, **context: Any) -> HttpResponse:
    steps = [
        {"label": label, "is_present": step == stage, "is_done": STEPS.index(step) < STEPS.index(stage)}
        for step, label in zip(STEPS, (_("Account"), _("Site"), _("Sign-up")), strict=True)
    ]
    return render(request, f"accounts/setup_{stage.value}.html", {"form": form, "steps": steps, **context})


def _too_late(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/setup_too_late.html", status=409)
