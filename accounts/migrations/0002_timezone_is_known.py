from django.db import migrations


class Migration(migrations.Migration):
    """PostgreSQL itself refuses a time zone it does not know. Names only: 'EST5EDT'-like rules are not places."""

    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.RunSQL(
            sql="""
            ALTER TABLE accounts_whatsappuser ADD CONSTRAINT whatsapp_user_timezone_is_known CHECK (
                timezone ~ '^(UTC|[A-Z][A-Za-z]+(/[A-Za-z0-9_+-]+)+)$'
                AND (TIMESTAMPTZ '2000-01-01 00:00:00+00' AT TIME ZONE timezone) IS NOT NULL
            )
            """,
            reverse_sql="ALTER TABLE accounts_whatsappuser DROP CONSTRAINT whatsapp_user_timezone_is_known",
        )
    ]
