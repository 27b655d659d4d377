"""People who have left a private room come back by their own consent alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0009_profiles")]

    operations = [
        migrations.AddField(
            model_name="membership",
            name="declined",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
    ]
