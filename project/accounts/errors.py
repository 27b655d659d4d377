"""Errors of accounts, set-up and invitations. Each has a sentence for people."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class AccountError(Exception):
    """An error whose ``sentence`` is shown to the person."""

    sentence: str | Promise = ""

    def __str__(self) -> str:
        return str(self.sentence)


class AlreadySetUp(AccountError):
    sentence = _("Somebody else has just become the owner of this site.")


class SignUpClosed(AccountError):
    sentence = _("Nobody can sign up at the moment.")


class InvitationNotValid(AccountError):
    sentence = _("This invitation is not valid, or not valid any more.")


class NameTaken(AccountError):
    sentence = _("Somebody else has just taken this user name or e-mail address.")


class InvitingForbidden(AccountError):
    sentence = _("You can't make invitations on this site.")


class TooManyInvitations(AccountError):
    sentence = _("You have made very many links. Revoke some of them, or make the next one tomorrow.")


class UsedMoreOften(AccountError):
    sentence = _("It was used more often already. To end it, revoke it.")


class LastOwner(AccountError):
    sentence = _(
        "You are the only one who can manage this site. Make somebody else an owner before you go, or the others would "
        "be left without one: in the admin, under Users, choose them and the action “Make owner”."
    )
