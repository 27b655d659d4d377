"""Runs of the database (chat/models/runs.py). The numbers that rooms have today are of a run without a name."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q


def begin(apps: Any, schema_editor: Any) -> None:
    apps.get_model("chat", "DatabaseRun")._base_manager.using(schema_editor.connection.alias).create()


class Migration(migrations.Migration):
    dependencies = [("chat", "0007_user_keys")]

    operations = [
        migrations.CreateModel(
            name="DatabaseRun",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("run", models.CharField(editable=False, max_length=16)),
                ("server", models.CharField(editable=False, max_length=100)),
            ],
            options={"verbose_name": "run of the database", "default_permissions": ()},
        ),
        migrations.RunPython(begin, migrations.RunPython.noop),
        migrations.AddField(
            model_name="room",
            name="run",
            field=models.CharField(db_default="", default="", editable=False, max_length=16),
        ),
        migrations.AddField(
            model_name="room",
            name="run_seq",
            field=models.BigIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.CreateModel(
            name="RoomRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("run", models.CharField(editable=False, max_length=16)),
                ("first_seq", models.BigIntegerField(editable=False)),
                ("last_seq", models.BigIntegerField(editable=False)),
                (
                    "room",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="chat.room",
                    ),
                ),
            ],
            options={
                "verbose_name": "run of a room",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("room", "last_seq"), name="chat_room_run_once"),
                    models.CheckConstraint(condition=Q(first_seq__lte=F("last_seq")), name="chat_room_run_seqs"),
                ],
            },
        ),
    ]
