from tests.cast import ana, ana_and_ben, ben, cleo, eve, lobby, make_person, staff  # noqa: F401
