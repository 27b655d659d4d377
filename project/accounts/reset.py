"""Links for a new password. Following one proves the address that it was sent to, and no other."""

from typing import Any

from allauth.account.forms import EmailAwarePasswordResetTokenGenerator
from allauth.account.models import EmailAddress


class ResetTokens(EmailAwarePasswordResetTokenGenerator):  # type: ignore[misc]
    """Makes tokens for ``email``, and accepts tokens made for any address of the person."""

    def __init__(self, email: str = ""):
        super().__init__()
        self.email = email.lower()

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        return f"{super()._make_hash_value(user, timestamp)}|{self.email}"

    def check_token(self, user: Any, token: str) -> bool:
        return self.address_of(user, token) is not None

    def address_of(self, user: Any, token: str) -> EmailAddress | None:
        """The person's address that the token was sent to, or None if the token is not valid."""
        for address in EmailAddress.objects.filter(user=user):
            if super(ResetTokens, ResetTokens(address.email)).check_token(user, token):
                return address
        return None


def keep_proven(user: Any, proven: EmailAddress) -> list[str]:
    """Confirm ``proven``, remove the addresses that can't be trusted, and return those.

    If ``proven`` was unconfirmed, anybody may have made the account with it, and added other addresses that links can
    be sent to. So all others are removed, confirmed or not. If it was confirmed, only unconfirmed ones are.
    """
    others = EmailAddress.objects.filter(user=user).exclude(pk=proven.pk)
    if proven.verified:
        others = others.filter(verified=False)
    gone = list(others.values_list("email", flat=True))
    others.delete()
    proven.set_verified()
    if EmailAddress.objects.get_primary(user) is None:
        proven.set_as_primary()
    return gone
