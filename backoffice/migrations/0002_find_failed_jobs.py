from django.db import migrations


class Migration(migrations.Migration):
    """Find the jobs that came to no good among those that ended well: a week of them are kept."""

    dependencies = [
        ("backoffice", "0001_deletions"),
        ("procrastinate", "0041_post_retry_failed_job"),
    ]

    operations = [
        migrations.RunSQL(
            sql="""
            CREATE INDEX whatsbot_jobs_ended_badly ON procrastinate_jobs (status, id)
                WHERE status IN ('failed', 'cancelled', 'aborted');
            """,
            reverse_sql="DROP INDEX whatsbot_jobs_ended_badly;",
        )
    ]
