"""Sign up, with or without an invitation, and reset a forgotten password."""

from allauth.account.views import PasswordResetView as AllauthPasswordResetView
from allauth.account.views import SignupView as AllauthSignupView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from chat.access.policy import policy
from project.accounts import invitations
from project.accounts.adapter import INVITATION_KEY, mail_failed
from project.accounts.errors import AccountError, InvitationNotValid
from project.accounts.forms import ResetPasswordForm, SignupForm


class SignupView(AllauthSignupView):  # type: ignore[misc]
    """allauth's view, which shows in the form the errors that occur while the account is being made."""

    def form_valid(self, form: SignupForm) -> HttpResponse:
        try:
            return super().form_valid(form)  # type: ignore[no-any-return]
        except AccountError as error:
            form.add_error(None, str(error))
            return self.render_to_response(self.get_context_data(form=form))  # type: ignore[no-any-return]


class PasswordResetView(AllauthPasswordResetView):  # type: ignore[misc]
    """allauth's view, which shows the form again if no mail could be sent."""

    def form_valid(self, form: ResetPasswordForm) -> HttpResponse:
        answer: HttpResponse = super().form_valid(form)
        if mail_failed(self.request):
            return self.render_to_response(self.get_context_data(form=form))  # type: ignore[no-any-return]
        return answer


@never_cache
def invite(request: HttpRequest, code: str) -> HttpResponse:
    """Show who invites to the site. A POST stores the code in the session and continues to the sign-up.

    A GET stores nothing, because link previews in other people's messages must leave nothing behind.
    """
    try:
        invitation = invitations.find(code)
    except InvitationNotValid:
        return render(request, "accounts/invitation_not_valid.html", status=404)
    if request.method == "POST" and not request.user.is_authenticated:
        request.session[INVITATION_KEY] = code
        return redirect("account_signup")
    return render(request, "accounts/invite.html", {"inviter": policy().name_of(invitation.created_by)})
