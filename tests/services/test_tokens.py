"""Tokens end for good, and only by whom they stand for."""

from typing import Any

from chat.access import identity
from chat.live.hints import Recheck
from chat.models import Token
from chat.services import tokens
from tests.cast import published


def test_a_removed_token_is_gone_with_the_sockets_that_it_opened(ana: Any, ben: Any) -> None:
    secret = tokens.issue(by=ana, user=ana, name="bot")
    token = Token.objects.get()
    with published() as hints:
        assert not tokens.delete(by=ben, user=ben, token_id=token.pk), "it is not his"
    assert identity.from_token(secret) and not hints
    with published() as hints:
        assert tokens.delete(by=ana, user=ana, token_id=token.pk)
    assert hints == [Recheck(str(ana.pk))]
    assert identity.from_token(secret) is None and not Token.objects.exists()
    assert not tokens.delete(by=ana, user=ana, token_id=token.pk)
