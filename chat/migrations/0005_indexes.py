"""Indexes for what a socket and the admin ask for often, in place of those that these cover.

With two million messages it takes 11 s on SQLite, where other writers wait for so long, and 7 s on PostgreSQL, where
readers wait as well: the tables stay locked until the end.
"""

from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def without_index(model_name: str, name: str, field: Any) -> migrations.SeparateDatabaseAndState:
    """Drop the indexes of the column of the foreign key ``name`` alone, of which Django has made one.

    ``AlterField`` would copy the whole table for it on SQLite: minutes, and as much disk again.
    """

    def drop(apps: Any, schema_editor: Any) -> None:
        model = apps.get_model("chat", model_name)
        column = model._meta.get_field(name).column
        with schema_editor.connection.cursor() as cursor:
            found = schema_editor.connection.introspection.get_constraints(cursor, model._meta.db_table)
        for index, about in found.items():
            if about["index"] and not about["unique"] and about["columns"] == [column]:
                schema_editor.remove_index(model, models.Index(fields=[name], name=index))

    def restore(apps: Any, schema_editor: Any) -> None:
        model = apps.get_model("chat", model_name)
        index = models.Index(fields=[name])
        index.set_name_with_model(model)
        schema_editor.add_index(model, index)

    return migrations.SeparateDatabaseAndState(
        database_operations=[migrations.RunPython(drop, restore)],
        state_operations=[migrations.AlterField(model_name, name, field)],
    )


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0004_moved_by"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        without_index(
            "token",
            "user",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="chat_tokens",
                to=settings.AUTH_USER_MODEL,
                verbose_name="person",
            ),
        ),
        without_index(
            "mention",
            "user",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        without_index(
            "reaction",
            "user",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        without_index(
            "reaction",
            "message",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="chat.message",
            ),
        ),
        migrations.AddIndex(
            model_name="reaction",
            index=models.Index(fields=["user", "message"], name="chat_reaction_of_user"),
        ),
        migrations.RemoveConstraint(model_name="membership", name="chat_membership_once"),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(fields=("user_key", "room"), name="chat_membership_once"),
        ),
        # The largest table last: until the end, PostgreSQL holds the lock of each table that was changed.
        without_index(
            "message",
            "room",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="messages",
                to="chat.room",
                verbose_name="room",
            ),
        ),
        without_index(
            "message",
            "author",
            models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="chat_messages",
                to=settings.AUTH_USER_MODEL,
                verbose_name="author",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["author", "id"], name="chat_message_of_author"),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["author", "room", "number"], name="chat_message_author_in_room"),
        ),
    ]
