"""``manage.py chat_renew_epochs``: after a restored backup, every client is told to forget what it holds."""

from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from chat.models import Room
from chat.services import rooms


@pytest.mark.django_db
def test_every_room_gets_another_epoch_and_keeps_its_numbers():
    ana = get_user_model().objects.create_user("ana")
    for place in range(3):
        rooms.create(by=ana, name=f"Room {place}")
    before = {each.pk: each for each in Room.objects.all()}
    out = StringIO()
    call_command("chat_renew_epochs", stdout=out)
    assert "3 rooms" in out.getvalue()
    for room in Room.objects.all():
        assert room.epoch != before[room.pk].epoch
        assert (room.head, room.last_number) == (before[room.pk].head, before[room.pk].last_number)
