import pytest

from tests.rig.factory import SiteFactory
from torture.stage import Servers


@pytest.fixture
def servers(request: pytest.FixtureRequest, make_site: SiteFactory) -> Servers:
    """The servers of this test session, for scenarios. PostgreSQL and Redis are started when one needs them."""
    return Servers(
        make_site, lambda: request.getfixturevalue("postgres"), lambda: request.getfixturevalue("redis_server")
    )
