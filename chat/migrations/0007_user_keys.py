"""Messages, reactions and mentions name people by ``user_key``, as memberships do.

People who are no rows of the host's user table need it: guests, bots, deleted accounts. The keys are made in Python, as
everywhere else, because a database writes a UUID in other ways than ``str()`` does; one statement for each person.

SQLite copies the three tables once for it; PostgreSQL changes them in place and then makes the new indexes.
"""

from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import CharField, F, Value
from django.db.models.functions import Cast, Concat

OWNERS = (("Message", "author_id"), ("Reaction", "user_id"), ("Mention", "user_id"))


def fill(apps: Any, schema_editor: Any) -> None:
    alias = schema_editor.connection.alias
    for name, owner in OWNERS:
        rows = apps.get_model("chat", name)._base_manager.using(alias)
        # The index on the owner makes each of these steps as long as what the person has.
        keys = rows.filter(**{f"{owner}__isnull": False}).order_by().values_list(owner, flat=True).distinct()
        for key in list(keys):
            rows.filter(**{owner: key}).update(user_key=str(key))
    # The author's account is deleted, and nobody knows its key any more. A key for each message keeps two that have the
    # same client_id apart; no repeat of them can come, for nobody can sign in as their author.
    messages = apps.get_model("chat", "Message")._base_manager.using(alias)
    messages.filter(author__isnull=True).update(user_key=Concat(Value("gone:"), Cast(F("pk"), CharField())))


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0006_slugs_of_private_rooms"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        *(
            migrations.AddField(name, "user_key", models.CharField(default="", editable=False, max_length=64))
            for name in ("message", "reaction", "mention")
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
        migrations.RemoveConstraint("message", "chat_message_posted_once"),
        migrations.RemoveConstraint("reaction", "chat_reaction_once"),
        migrations.RemoveConstraint("mention", "chat_mention_once"),
        migrations.RemoveIndex("reaction", "chat_reaction_of_user"),
        *(
            migrations.AlterField(name, "user_key", models.CharField(editable=False, max_length=64))
            for name in ("message", "reaction", "mention")
        ),
        *(
            migrations.AlterField(
                name,
                "user",
                models.ForeignKey(
                    null=True,
                    on_delete=django.db.models.deletion.CASCADE,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            )
            for name in ("reaction", "mention")
        ),
        migrations.AddIndex("reaction", models.Index(fields=["user_key", "message"], name="chat_reaction_of_person")),
        migrations.AddConstraint(
            "message",
            models.UniqueConstraint(fields=("client_id", "user_key", "room"), name="chat_message_posted_once"),
        ),
        migrations.AddConstraint(
            "reaction",
            models.UniqueConstraint(fields=("message", "emoji", "user_key"), name="chat_reaction_once"),
        ),
        migrations.AddConstraint(
            "mention",
            models.UniqueConstraint(fields=("user_key", "room", "number"), name="chat_mention_once"),
        ),
    ]
