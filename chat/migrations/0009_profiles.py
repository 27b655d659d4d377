"""The chat's own row of a person. ``receivers.fill_profiles`` makes the rows of existing members after ``migrate``: only
the policy knows people's handles, and a migration cannot ask it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0008_runs")]

    operations = [
        migrations.CreateModel(
            name="Profile",
            fields=[
                ("user_key", models.CharField(editable=False, max_length=64, primary_key=True, serialize=False)),
                ("handle_key", models.CharField(editable=False, max_length=150)),
            ],
            options={
                "verbose_name": "profile",
                "verbose_name_plural": "profiles",
                "indexes": [models.Index(fields=["handle_key"], name="chat_profile_called")],
            },
        ),
    ]
