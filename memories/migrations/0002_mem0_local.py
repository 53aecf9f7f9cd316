from django.db import migrations


class Migration(migrations.Migration):
    """Mem0's table for the local embedder, as Mem0 would make it lazily, with our indexes instead of its HNSW.

    HNSW under a per-person filter loses rows, and lazy creation races (contracts/mem0.md B3). The unique index on our
    key is what makes an addition safe to repeat.
    """

    dependencies = [("memories", "0001_initial")]

    operations = [
        migrations.RunSQL(
            sql="CREATE EXTENSION IF NOT EXISTS vector",
            reverse_sql=migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            sql="""
            CREATE TABLE mem0_local (id uuid PRIMARY KEY, vector vector(384), payload jsonb);
            CREATE INDEX mem0_local_user ON mem0_local ((payload->>'user_id'));
            CREATE UNIQUE INDEX mem0_local_key ON mem0_local ((payload->>'key'));
            """,
            reverse_sql="DROP TABLE mem0_local",
        ),
    ]
