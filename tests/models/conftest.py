from django.db import connection

from tests.cast import ana, ana_and_ben, ben, cleo, eve, lobby, make_person, staff  # noqa: F401

collect_ignore = ["test_sqlite.py"] if connection.vendor == "postgresql" else ["test_postgresql.py"]
