"""Bearer tokens: made, listed and revoked by the person they stand for."""

from datetime import timedelta
from secrets import token_urlsafe
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from chat.access.identity import digest
from chat.conf import conf
from chat.live.hints import Recheck
from chat.live.publisher import publish_on_commit
from chat.models import Token
from chat.models.database import alias, connection, write
from chat.models.tokens import LABEL_CHARS
from chat.wire.errors import UserNotFound

PREFIX = "hearth_"
"""Lets secret scanners, and people, know what they found."""


def issue(*, user: Any, name: str = "") -> str:
    """Make a token for ``user`` and return it: it is stored as a hash and can't be shown again.

    It is valid for ``CHAT["TOKEN_DAYS"]`` days; 0 means until it is revoked.

    Raises:
        UserNotFound: The account is deleted, or has another password than when ``user`` was loaded.
    """
    token = PREFIX + token_urlsafe(32)
    expires_at = timezone.now() + timedelta(days=conf.token_days) if conf.token_days else None
    with write():
        # A session that ends with a new password could otherwise ask for a token at that very moment, which then
        # outlives ``revoke_all``. The lock makes the two take turns.
        no_key = connection().features.has_select_for_no_key_update
        people = get_user_model()._base_manager.using(alias())
        now = people.select_for_update(no_key=no_key).filter(pk=user.pk).first()
        if now is None or getattr(now, "password", "") != getattr(user, "password", ""):
            raise UserNotFound
        Token.objects.create(user=user, name=name[:LABEL_CHARS], digest=digest(token), expires_at=expires_at)
    return token


def active(*, user: Any) -> list[Token]:
    """The person's tokens that are not revoked, newest first."""
    return list(Token.objects.filter(user=user, revoked_at=None).order_by("-pk"))


def revoke(*, user: Any, token_id: int) -> bool:
    """End a token of the person's own and the sockets that it opened; False if there is no such token."""
    with write():
        revoked = Token.objects.filter(user=user, pk=token_id, revoked_at=None).update(revoked_at=timezone.now())
        publish_on_commit([Recheck(str(user.pk))])
    return bool(revoked)


def revoke_all(*, user: Any) -> int:
    """End all tokens of the person and the sockets that these opened; how many that were."""
    with write():
        revoked = Token.objects.filter(user=user, revoked_at=None).update(revoked_at=timezone.now())
        if revoked:
            publish_on_commit([Recheck(str(user.pk))])
    return revoked


def remove(*, user: Any, token_id: int) -> bool:
    """End a token as ``revoke`` does, and keep nothing of it; False if there is no such token."""
    with write():
        removed, _rows = Token.objects.filter(user=user, pk=token_id).delete()
        if removed:
            publish_on_commit([Recheck(str(user.pk))])
    return bool(removed)
