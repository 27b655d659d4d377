"""The log's rules hold in the database, not only in code."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError

from chat.models import Room
from chat.services import messages
from tests.cast import fresh, said


def test_the_constraints_stand_behind_the_code(ana: Any, lobby: Room) -> None:
    message = said(ana, lobby)
    for twin in (
        {"number": 2, "seq": 99},  # the same client_id
        {"client_id": uuid4(), "seq": 99},  # the same number
        {"client_id": uuid4(), "number": 2},  # the same seq
        {"client_id": uuid4(), "number": 9, "seq": 8, "changed_seq": 8},  # a number past its seq
        {"client_id": uuid4(), "number": 9, "seq": 100, "changed_seq": 99},  # changed before its birth
    ):
        row = fresh(message)
        row.pk = None
        row.changed_seq = 100
        for name, value in twin.items():
            setattr(row, name, value)
        with pytest.raises(IntegrityError), messages.write():
            row.save(force_insert=True)
