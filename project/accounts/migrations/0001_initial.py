from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import project.accounts.models


def make_the_row(apps: Any, schema_editor: Any) -> None:
    """Create the row that sign-ups and the set-up lock."""
    apps.get_model("accounts", "SiteSettings").objects.using(schema_editor.connection.alias).get_or_create(pk=1)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="CacheEntry",
            fields=[
                ("cache_key", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("value", models.TextField()),
                ("expires", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="SiteSettings",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(blank=True, max_length=60, verbose_name="name of the site")),
                (
                    "sign_up",
                    models.CharField(
                        choices=[
                            ("open", "Everybody who finds the address"),
                            ("invitation", "People with an invitation link"),
                            ("closed", "Nobody"),
                        ],
                        default="invitation",
                        max_length=12,
                        verbose_name="who may sign up",
                    ),
                ),
                (
                    "members_invite",
                    models.BooleanField(
                        default=False,
                        help_text="Otherwise only the owners of the site can make invitation links.",
                        verbose_name="every member may invite",
                    ),
                ),
                (
                    "first_rooms",
                    models.JSONField(blank=True, default=list, verbose_name="rooms that new accounts join"),
                ),
                (
                    "stage",
                    models.CharField(
                        choices=[("owner", "Owner"), ("rooms", "Rooms"), ("access", "Access"), ("done", "Done")],
                        default="owner",
                        editable=False,
                        max_length=8,
                    ),
                ),
            ],
            options={
                "verbose_name": "site settings",
                "verbose_name_plural": "site settings",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("pk", 1)), name="accounts_one_row_of_settings")
                ],
            },
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "code",
                    models.CharField(
                        default=project.accounts.models.new_code, editable=False, max_length=40, unique=True
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="made"),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True, verbose_name="expires")),
                ("max_uses", models.PositiveIntegerField(blank=True, null=True, verbose_name="most uses")),
                ("uses", models.PositiveIntegerField(default=0, editable=False, verbose_name="uses")),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="revoked")),
                ("note", models.CharField(blank=True, max_length=100, verbose_name="note")),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="invitations",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="made by",
                    ),
                ),
            ],
            options={
                "verbose_name": "invitation",
                "verbose_name_plural": "invitations",
                "ordering": ("-created_at", "-pk"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("max_uses", None), ("uses__lte", models.F("max_uses")), _connector="OR"),
                        name="accounts_invitation_not_overused",
                    )
                ],
            },
        ),
        migrations.RunPython(make_the_row, migrations.RunPython.noop, elidable=False),
    ]
