APART = {"auth", "contenttypes", "sessions", "people", "chat"}


class PeopleApart:
    """Keeps people, and everything that refers to them, in one database, and goods in the other."""

    def db_for_read(self, model, **hints):
        return "people" if model._meta.app_label in APART else "default"

    db_for_write = db_for_read

    def allow_relation(self, one, other, **hints):
        return (one._meta.app_label in APART) == (other._meta.app_label in APART)

    def allow_migrate(self, db, app_label, **hints):
        return (db == "people") == (app_label in APART)
