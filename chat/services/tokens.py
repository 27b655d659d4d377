"""Bearer tokens: made, listed and revoked, by the person they stand for or by the site."""

from datetime import timedelta
from secrets import token_urlsafe
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.utils import timezone

from chat.access.identity import digest
from chat.access.policy import rules_for
from chat.conf import conf
from chat.live.hints import Recheck
from chat.live.publisher import publish_on_commit
from chat.models import Token
from chat.models.database import alias, connection, write
from chat.models.tokens import LABEL_CHARS
from chat.wire.errors import ChatError, UserNotFound

PREFIX = "hearth_"
"""Tells secret scanners, and people, what they have found."""


class TokenRefused(ChatError):
    """The person may have no further token; its sentence says why. No command makes tokens, so the wire has no code."""


def issue(*, by: Any, user: Any, name: str = "") -> str:
    """Make a token that stands for ``user`` and return it: it is stored as a hash and cannot be shown again.

    It is valid for ``CHAT["TOKEN_DAYS"]`` days; 0 means until it is revoked.

    Raises:
        UserNotFound: The account is deleted, has another password than when ``user`` was loaded, or is not one for
            which ``by`` may make tokens.
        TokenRefused: The policy is against it, or the person has ``CHAT["TOKENS_PER_USER"]`` valid tokens.
    """
    _check(by, user)
    if obstacle := rules_for(by).token_obstacle(user):
        raise TokenRefused(obstacle)
    token = PREFIX + token_urlsafe(32)
    expires_at = timezone.now() + timedelta(days=conf.token_days) if conf.token_days else None
    with write():
        # A session that ends with a new password could otherwise ask for a token at that very moment, which would then
        # outlive ``revoke_all``. The lock makes the two take turns.
        no_key = connection().features.has_select_for_no_key_update
        people = get_user_model()._base_manager.using(alias())
        now = people.select_for_update(no_key=no_key).filter(pk=user.pk).first()
        if now is None or getattr(now, "password", "") != getattr(user, "password", ""):
            raise UserNotFound
        if _valid(user).count() >= conf.tokens_per_user:
            raise TokenRefused("You have {most} tokens. Revoke one first.", values={"most": conf.tokens_per_user})
        Token.objects.create(user=user, name=name[:LABEL_CHARS], digest=digest(token), expires_at=expires_at)
    return token


def active(*, user: Any) -> list[Token]:
    """The person's tokens that are not revoked, newest first."""
    return list(Token.objects.filter(user=user, revoked_at=None).order_by("-pk"))


def revoke(*, by: Any, user: Any, token_id: int) -> bool:
    """End a token of ``user`` and the sockets that it opened; False if they have no such token.

    Raises:
        UserNotFound: Their tokens are not for ``by`` to end.
    """
    _check(by, user)
    with write():
        revoked = Token.objects.filter(user=user, pk=token_id, revoked_at=None).update(revoked_at=timezone.now())
        publish_on_commit([Recheck(str(user.pk))])
    return bool(revoked)


def revoke_all(*, by: Any, user: Any) -> int:
    """End all tokens of ``user`` and the sockets that these opened; how many that were. Raises as ``revoke``."""
    _check(by, user)
    with write():
        revoked = Token.objects.filter(user=user, revoked_at=None).update(revoked_at=timezone.now())
        if revoked:
            publish_on_commit([Recheck(str(user.pk))])
    return revoked


def delete(*, by: Any, user: Any, token_id: int) -> bool:
    """End a token as ``revoke`` does and keep no row of it. Returns and raises as ``revoke``."""
    _check(by, user)
    with write():
        deleted, _rows = Token.objects.filter(user=user, pk=token_id).delete()
        if deleted:
            publish_on_commit([Recheck(str(user.pk))])
    return bool(deleted)


def _valid(user: Any) -> QuerySet[Token]:
    now = timezone.now()
    return Token.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), user=user, revoked_at=None)


def _check(by: Any, user: Any) -> None:
    if not rules_for(by).can_manage_tokens(by, user):
        raise UserNotFound
