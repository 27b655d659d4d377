"""allauth's adapters for this site: who may sign up, what mail looks like, and closing sockets with their sessions."""

import logging
import smtplib
from collections.abc import Iterable
from email.utils import formataddr, parseaddr
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal import ratelimit
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from chat import api
from chat.access.policy import policy
from project.accounts import known_browsers, mail_links, signup, site, skeletons

logger = logging.getLogger(__name__)
INVITATION_KEY = "invitation"
"""The session key that holds the code of the invitation link that the visitor followed."""
MAIL_SENT = "account/messages/email_confirmation_sent.txt"
MAIL_LOGGED = "account/messages/email_confirmation_logged.txt"
UNSENT = "unsent"
"""A query parameter that keeps the page for sent mail from saying that mail was sent, even after a reload."""
BY_ANYBODY = frozenset(
    f"account/email/{name}" for name in ("password_reset_key", "account_already_exists", "unknown_account")
)
"""Mail that goes to whatever address somebody types who has not signed in."""
UNKNOWN_ADDRESS = "0.0.0.0"  # noqa: S104


def mail_is_set_up() -> bool:
    """Whether mail reaches people; without ``EMAIL_URL`` it is only written to the log."""
    return bool(settings.MAIL_IS_SET_UP)


def mail_failed(request: HttpRequest) -> bool:
    """Whether mail of this request could not be sent. Showing this does not reveal which addresses are known, because
    mail goes to every address that is asked for."""
    return getattr(request, "mail_failed", False)


def display_name(user: Any) -> str:
    """The name by which mail addresses ``user``."""
    return policy().name_of(user)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {  # noqa: RUF012
        **DefaultAccountAdapter.error_messages,
        "username_taken": _("Somebody else has this user name, or one that looks the same."),
        "email_taken": _("There is an account with this e-mail address already."),
        "email_password_mismatch": _("This e-mail address and password don't belong together."),
        "username_password_mismatch": _("This user name and password don't belong together."),
        "too_many_login_attempts": _("Too many failed attempts. Try again later."),
        "incorrect_password": _("That is not your password."),
        "enter_current_password": _("That is not your password."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return signup.is_open(request.session.get(INVITATION_KEY, ""))

    def clean_username(self, username: str, shallow: bool = False) -> str:
        """Normalize the name as Django does elsewhere: "ａｎａ" is "ana", and is taken if "ana" is.

        Args:
            shallow: Whether to leave out the check that nobody has the name, or one that looks the same.
        """
        name = str(super().clean_username(get_user_model().normalize_username(username), shallow=shallow))
        if not shallow and skeletons.is_taken(name):
            raise self.validation_error("username_taken")
        return name

    def format_email_subject(self, subject: str) -> str:
        return f"[{site.name()}] {subject}"

    def get_from_email(self) -> str:
        """The address of ``EMAIL_FROM``, with the site's name unless ``EMAIL_FROM`` has a name of its own."""
        name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
        return formataddr((site.name() if name in ("", "Hearth") else name, address))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send the mail, or log the failure: a mail server that is down must not make changing a password fail.

        Mail that any stranger can have sent to an address is dropped where a few of its kind went there lately. The
        page says the same: a refusal would let strangers keep somebody from the link for a new password, and the links
        of earlier mail are still good.
        """
        if template_prefix in BY_ANYBODY and not self._is_wanted(template_prefix, email, context):
            return
        try:
            super().send_mail(template_prefix, email, mail_links.to_this_site(context))
        except (smtplib.SMTPException, OSError):
            logger.exception("EMAIL_URL: the mail %s could not be sent.", template_prefix)
            if request := context.get("request") or getattr(self, "request", None):
                request.mail_failed = True
                messages.error(request, _("An e-mail that should have gone out could not be sent."))

    def _is_wanted(self, template_prefix: str, email: str, context: dict[str, Any]) -> bool:
        # People who share an address get a link each.
        key = f"{template_prefix}|{email.lower()}|{getattr(context.get('user'), 'pk', '')}"
        return bool(ratelimit.consume(self.request, app="allauth.account", action="mail_by_anybody", key=key))

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *more: Any, **options: Any
    ) -> None:
        """Add the message, but do not say that mail was sent if it failed or was only written to the log."""
        if message_template == MAIL_SENT and mail_failed(request):
            return
        if message_template == MAIL_SENT and not mail_is_set_up():
            if request.path == reverse("account_signup"):
                return
            message_template = MAIL_LOGGED
        super().add_message(request, level, message_template, *more, **options)

    def respond_email_verification_sent(self, request: HttpRequest, user: Any) -> HttpResponse:
        if mail_failed(request):
            return redirect(f"{reverse('account_email_verification_sent')}?{UNSENT}")
        answer: HttpResponse = super().respond_email_verification_sent(request, user)
        return answer

    def get_client_ip(self, request: HttpRequest) -> str:
        """Never fail: over a Unix socket, or past fewer proxies than ``TRUSTED_PROXIES``, clients share one limit."""
        try:
            return str(super().get_client_ip(request))
        except (ImproperlyConfigured, PermissionDenied):
            return request.META.get("REMOTE_ADDR") or UNKNOWN_ADDRESS

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the attempt: for the name and this address, and for the name from anywhere. Attempts with a browser
        that the person has used before are counted for that browser alone.

        Raises:
            ValidationError: Too many attempts have failed.
        """
        name = _name_in(credentials)
        self._usages: list[Any] = []
        if key := known_browsers.key_of(request, name):
            self._count(request, "login_failed_known", key)
            return
        super().pre_authenticate(request, **credentials)
        # Not for the account: a limit that two names share would tell strangers that they belong to one person.
        self._count(request, "login_failed_anywhere", name)

    def _count(self, request: HttpRequest, action: str, key: str) -> None:
        usage = ratelimit.consume(request, app="allauth.account", action=action, key=key)
        if not usage:
            self._rollback_login_failed_rl_usage()
            raise self.validation_error("too_many_login_attempts")
        self._usages.append(usage)

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        if credentials.get("username"):
            credentials.pop("email", None)  # one name is enough; for a second one, the password is hashed once more
        return super().authenticate(request, **credentials)

    def post_login(self, request: HttpRequest, user: Any, **options: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **options)
        known_browsers.remember(request, response, user)
        return response

    def _rollback_login_failed_rl_usage(self) -> None:
        super()._rollback_login_failed_rl_usage()
        for each in self._usages:
            each.rollback()

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """allauth's own key also has the host that the client asked for, so each spelling of it (another port,
        capitals, any subdomain of ours) would start a new limit; so would each address of one IPv6 network."""
        return f"{ratelimit.get_ip(request)}|{_name_in(credentials)}"


def _name_in(credentials: dict[str, Any]) -> str:
    return str(credentials.get("email", credentials.get("username", ""))).lower()


class SessionsAdapter(DefaultUserSessionsAdapter):  # type: ignore[misc]
    def end_sessions(self, sessions: Iterable[Any]) -> None:
        """End the sessions, and close their sockets after commit."""
        ending = list(sessions)
        with transaction.atomic():
            super().end_sessions(ending)
            api.recheck({each.user_id: each.user for each in ending}.values())
