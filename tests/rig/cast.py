"""Create people in a site's database and print them as JSON. Run this in the site's environment.

``python -m tests.rig.cast [--migrate] NAME …``. A person who exists already is printed too, with a new token and
session. ``olga`` is a superuser. Everybody's password is ``password``.
"""

import json
import sys
from typing import Any

import django


def main(names: list[str]) -> None:
    django.setup()
    if "--migrate" in names:
        from django.core.management import call_command

        names.remove("--migrate")
        call_command("migrate", interactive=False, verbosity=0)
    from django.db import transaction

    with transaction.atomic():  # one commit for all of them
        people = [_person(name) for name in names]
    print(json.dumps(people))


def _person(name: str) -> dict[str, Any]:
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
    from django.contrib.auth.hashers import make_password
    from django.contrib.sessions.backends.db import SessionStore

    from chat.services import tokens

    manager = get_user_model()._default_manager
    power = {"is_staff": True, "is_superuser": True} if name == "olga" else {}
    user, _ = manager.get_or_create(username=name, defaults={"password": make_password("password"), **power})
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return {
        "name": name,
        "id": str(user.pk),
        "token": tokens.issue(by=user, user=user, name="test"),
        "session": session.session_key,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
