"""Who is connecting, from which page, and whether their sign-in still holds."""

from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.utils import timezone

from chat.access import identity
from chat.access.identity import Identity, origin_allowed
from chat.models import Token
from chat.services import tokens
from chat.wire.errors import Close

HOST = "chat.example.com"
ALLOWED = [
    ("https://chat.example.com", HOST, True),
    ("http://chat.example.com", HOST, False),
    ("https://chat.example.com:443", HOST, True),
    ("https://chat.example.com", f"{HOST}:443", True),
    ("http://chat.example.com:80", HOST, False),
    ("http://chat.example.com:8000", f"{HOST}:8000", False),
    ("HTTPS://CHAT.EXAMPLE.COM", HOST, True),
    ("https://chat.example.com", HOST.upper(), True),
    ("http://[::1]:8000", "[::1]:8000", False),
    ("http://127.0.0.1:8000", "127.0.0.1:8000", False),
    ("https://www.trusted.org", HOST, True),
    ("https://www.trusted.org", HOST, False),
    ("https://a.wild.org", HOST, True),
    ("https://a.b.wild.org", HOST, True),
    ("http://port.org:8080", HOST, True),
    ("https://embedding.org", HOST, True),
]
REFUSED = [
    ("null", HOST, True),
    ("", HOST, True),
    ("*", HOST, True),
    ("file://", HOST, True),
    ("https://", HOST, True),
    ("chat.example.com", HOST, True),
    ("//chat.example.com", HOST, True),
    ("http://chat.example.com", HOST, True),  # another scheme
    ("https://chat.example.com", HOST, False),
    ("ws://chat.example.com", HOST, False),
    ("https://chat.example.com:8443", HOST, True),  # another port
    ("http://chat.example.com", f"{HOST}:8000", False),
    ("https://chat.example.com:0", HOST, True),
    ("https://chat.example.com:99999", HOST, True),
    ("https://chat.example.com:x", HOST, True),
    ("https://example.com", HOST, True),  # another host
    ("https://evil.chat.example.com", HOST, True),
    ("https://chat.example.com.evil.org", HOST, True),
    ("https://evilchat.example.com", HOST, True),
    ("https://chat.example.com@evil.org", HOST, True),
    ("https://user@chat.example.com", HOST, True),
    ("https://user:secret@chat.example.com", HOST, True),
    ("https://@chat.example.com", HOST, True),
    ("https://chat.example.com/", HOST, True),
    ("https://chat.example.com/path", HOST, True),
    ("https://chat.example.com?x", HOST, True),
    ("https://chat.example.com#x", HOST, True),
    (" https://chat.example.com", HOST, True),
    ("https://chat.exa\tmple.com", HOST, True),
    ("https://chat.example.com https://evil.org", HOST, True),
    ("https://evil.org", "evil.org", True),  # what the Host header says must be ours
    ("https://evil.org", "chat.example.com@evil.org", True),
    ("https://chat.example.com", "", True),
    ("http://[::1]:8000", "[::2]:8000", False),
    ("http://[::1", "[::1]", False),
    ("http://www.trusted.org", HOST, True),
    ("http://www.trusted.org:443", HOST, True),
    ("http://chat.example.com:443", HOST, True),
    ("https://trusted.org", HOST, True),
    ("https://wild.org", HOST, True),  # the wildcard stands for subdomains
    ("https://evilwild.org", HOST, True),
    ("http://a.wild.org", HOST, True),
    ("https://a.wild.org:8443", HOST, True),
    ("http://port.org", HOST, True),
]


@pytest.fixture
def site(settings: Any) -> None:
    settings.ALLOWED_HOSTS = [HOST, "[::1]", "127.0.0.1"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://www.trusted.org", "https://*.wild.org", "http://port.org:8080"]
    settings.CHAT = {**settings.CHAT, "ORIGINS": ("https://embedding.org",)}


@pytest.mark.parametrize(("origin", "host", "secure"), ALLOWED)
def test_a_page_of_ours_may_open_the_socket(site: None, origin: str, host: str, secure: bool) -> None:
    assert origin_allowed(origin, host=host, secure=secure)


@pytest.mark.parametrize(("origin", "host", "secure"), REFUSED)
def test_a_page_of_others_may_not(site: None, origin: str, host: str, secure: bool) -> None:
    assert not origin_allowed(origin, host=host, secure=secure)


# Tokens ----------------------------------------------------------------------------------------------------------


def test_a_token_stands_for_its_person_and_only_its_hash_is_kept(ana: Any) -> None:
    token = tokens.issue(by=ana, user=ana, name="bot")
    found = identity.from_token(token)
    assert found
    assert (found.user, found.token_id) == (ana, Token.objects.get().pk)
    assert token not in str(list(Token.objects.values()))


@pytest.mark.parametrize("wrong", [None, "", "x", "hearth_", "\ud800", "a\x00b", "é" * 10_000])
def test_a_wrong_token_signs_nobody_in(ana: Any, wrong: str | None) -> None:
    token = tokens.issue(by=ana, user=ana)
    assert identity.from_token(wrong) is None
    for near in (token[:-1], token + "x", token.upper(), f" {token}", token.removeprefix("hearth_")):
        assert identity.from_token(near) is None
    assert identity.from_token(identity.digest(token)) is None


def test_a_token_ends_by_revoking_expiring_and_deactivating(ana: Any, eve: Any, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "TOKEN_DAYS": 7}
    revoked, expired, good = (tokens.issue(by=ana, user=ana, name=name) for name in ("revoked", "expired", "good"))
    rows = {each.name: each for each in tokens.active(user=ana)}
    assert not tokens.revoke(by=eve, user=eve, token_id=rows["revoked"].pk), "it is not hers"
    assert tokens.revoke(by=ana, user=ana, token_id=rows["revoked"].pk)
    assert not tokens.revoke(by=ana, user=ana, token_id=rows["revoked"].pk)
    Token.objects.filter(name="expired").update(expires_at=timezone.now())
    assert identity.from_token(revoked) is None
    assert identity.from_token(expired) is None
    assert identity.from_token(good)
    assert Token.objects.get(name="good").expires_at > timezone.now() + timedelta(days=6)
    ana.is_active = False
    ana.save()
    assert identity.from_token(good) is None


def test_its_use_is_noted_now_and_then(ana: Any, django_assert_num_queries: Any) -> None:
    token = tokens.issue(by=ana, user=ana)
    identity.from_token(token)
    first = Token.objects.get().last_used_at
    assert first
    with django_assert_num_queries(1):
        identity.from_token(token)
    Token.objects.update(last_used_at=first - timedelta(minutes=6))
    identity.from_token(token)
    assert Token.objects.get().last_used_at >= first


# Sessions --------------------------------------------------------------------------------------------------------


def session_of(user: Any) -> Any:
    store = import_module(django_settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = django_settings.AUTHENTICATION_BACKENDS[0]
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.create()
    store.save()
    return store


def signed_in(user: Any) -> Identity:
    found = identity.from_session(session_of(user).session_key)
    assert found
    return found


def test_a_session_stands_for_the_person_who_signed_in(ana: Any) -> None:
    assert signed_in(ana).user == ana


def test_a_missing_unknown_or_empty_session_signs_nobody_in(ana: Any) -> None:
    anonymous = import_module(django_settings.SESSION_ENGINE).SessionStore()
    anonymous.create()
    for key in (None, "", "x" * 32, "short", "a\x00b", "x" * 31 + "\x00", anonymous.session_key):
        assert identity.from_session(key) is None


def test_a_session_ends_with_password_account_and_time(ana: Any, ben: Any, cleo: Any) -> None:
    stores = [session_of(each) for each in (ana, ben, cleo)]
    ana.set_password("new")
    ana.save()
    ben.is_active = False
    ben.save()
    stores[2].set_expiry(-1)
    stores[2].save()
    assert [identity.from_session(each.session_key) for each in stores] == [None] * 3


def test_opening_a_socket_does_not_change_the_session(ana: Any, settings: Any) -> None:
    """After a change of SECRET_KEY, Django moves the session to a new key. A socket can't tell the browser the new
    key, so the next page would have found its person signed out."""
    settings.SECRET_KEY = "old" * 20
    key = session_of(ana).session_key
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new" * 20, ["old" * 20]
    found = identity.from_session(key)
    assert found
    assert (found.user, found.session_key) == (ana, key)
    assert identity.from_session(key), "the session is still there"
    assert identity.check([found]).ended == {}


# Whether it still holds ------------------------------------------------------------------------------------------


def test_the_reason_says_what_has_ended(ana: Any, ben: Any, make_person: Any) -> None:
    names = ("password", "session", "expired", "banned", "gone")
    people = {name: make_person(name) for name in names}
    sessions = {name: signed_in(person) for name, person in people.items()}
    held = signed_in(ana)
    token, revoked, lapsed = (identity.from_token(tokens.issue(by=ben, user=ben, name=n)) for n in ("a", "b", "c"))
    assert token
    assert revoked
    assert lapsed
    everybody = [held, token, revoked, lapsed, *sessions.values()]
    assert identity.check(everybody).ended == {}

    people["password"].set_password("new")
    people["password"].save()
    people["banned"].is_active = False
    people["banned"].save()
    gone = people["gone"]
    sessions["gone"] = Identity(type(gone)(pk=gone.pk), session_key=sessions["gone"].session_key)
    people["gone"].delete()
    store = import_module(django_settings.SESSION_ENGINE).SessionStore
    store(sessions["session"].session_key).delete()
    expired = store(sessions["expired"].session_key)
    expired.set_expiry(-1)
    expired.save()
    Token.objects.filter(pk=revoked.token_id).update(revoked_at=timezone.now())
    Token.objects.filter(pk=lapsed.token_id).update(expires_at=timezone.now())

    assert identity.check([held, token, revoked, lapsed, *sessions.values()]).ended == {
        revoked: Close.NOT_SIGNED_IN,
        lapsed: Close.NOT_SIGNED_IN,
        sessions["password"]: Close.SESSION_ENDED,
        sessions["session"]: Close.SESSION_ENDED,
        sessions["expired"]: Close.SESSION_ENDED,
        sessions["banned"]: Close.BANNED,
        sessions["gone"]: Close.BANNED,
    }


def test_many_are_checked_in_three_queries(make_person: Any, django_assert_num_queries: Any) -> None:
    people = [make_person(f"person{n}") for n in range(30)]
    held = [signed_in(each) for each in people]
    held += [found for each in people if (found := identity.from_token(tokens.issue(by=each, user=each)))]
    assert len(held) == 60
    with django_assert_num_queries(3):  # people, tokens, sessions
        assert identity.check(held).ended == {}
    with django_assert_num_queries(2):  # people, sessions
        identity.check(held[:30])
    with django_assert_num_queries(0):
        identity.check([])


def test_the_people_of_a_check_are_as_they_are_now(ana: Any) -> None:
    held = signed_in(ana)
    type(ana).objects.filter(pk=ana.pk).update(username="anna")
    assert identity.check([held]).people[ana.pk].username == "anna"


def test_sessions_in_signed_cookies_hold(ana: Any, settings: Any) -> None:
    """Regression: they "exist" nowhere, so each counted as ended after a minute, with a code against reconnecting."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    assert identity.check([signed_in(ana)]).ended == {}


def test_a_session_engine_without_a_table_is_asked_one_by_one(ana: Any, settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    found = signed_in(ana)
    assert identity.check([found]).ended == {}
    import_module(settings.SESSION_ENGINE).SessionStore(found.session_key).delete()
    assert identity.check([found]).ended == {found: Close.SESSION_ENDED}


def test_a_person_of_another_model_needs_no_session_hash() -> None:
    assert identity._session_hash(SimpleNamespace(pk=1)) == ""
