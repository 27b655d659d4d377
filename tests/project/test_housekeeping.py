"""The site tidies up by itself, and takes nothing that is still in use."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.utils import timezone

from project import housekeeping
from project.accounts.models import CacheEntry


@pytest.mark.django_db
def test_what_has_ended_goes_and_what_lives_stays(monkeypatch: pytest.MonkeyPatch):
    pauses: list[float] = []
    monkeypatch.setattr(housekeeping.time, "sleep", pauses.append)
    monkeypatch.setattr(housekeeping, "AT_ONCE", 2)
    person = get_user_model().objects.create_user("ana")
    now = timezone.now()
    for key, ends in {"a": -1, "b": -1, "c": -1, "live": 1}.items():
        Session.objects.create(session_key=key, session_data="", expire_date=now + timedelta(hours=ends))
        UserSession.objects.create(user=person, session_key=key, ip="127.0.0.1")
        CacheEntry.objects.create(cache_key=key, value="", expires=now + timedelta(hours=ends))
    housekeeping.tidy()
    assert list(Session.objects.values_list("pk", flat=True)) == ["live"]
    assert list(UserSession.objects.values_list("session_key", flat=True)) == ["live"]
    assert list(CacheEntry.objects.values_list("pk", flat=True)) == ["live"]
    assert len(pauses) == 4, "two rounds for each kind"


def test_it_goes_on_after_a_fault_of_the_database(monkeypatch: pytest.MonkeyPatch):
    class Over(Exception):
        pass

    times: list[Any] = []

    def fail() -> None:
        times.append(None)
        if len(times) == 2:
            raise Over
        raise housekeeping.Error("away")

    monkeypatch.setattr(housekeeping.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(housekeeping, "tidy", fail)
    monkeypatch.setattr(housekeeping.connection, "close", lambda: None)
    with pytest.raises(Over):
        housekeeping._run()
