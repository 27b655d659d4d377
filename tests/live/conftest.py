from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from chat.models import Room
from chat.runtime import pools
from chat.services import memberships, rooms
from tests.live.rig import LiveRig


@pytest.fixture
async def rig(transactional_db: None) -> AsyncIterator[LiveRig]:
    rig = LiveRig()
    yield rig
    await rig.close()
    for pool in (pools.readers, pools.auth):
        await pool.run(pools.close_connections)


@pytest.fixture
def ana(transactional_db: None) -> Any:
    return _person("ana")


@pytest.fixture
def ben(transactional_db: None) -> Any:
    return _person("ben")


@pytest.fixture
def eve(transactional_db: None) -> Any:
    """The outsider."""
    return _person("eve")


@pytest.fixture
def lobby(ana: Any, ben: Any) -> Room:
    """An open room of ana's with ben in it."""
    room = rooms.create(by=ana, name="Lobby")
    memberships.join(by=ben, room_id=room.pk)
    return room


def _person(name: str) -> Any:
    return get_user_model().objects.create_user(name)
