from django.db import migrations


class Migration(migrations.Migration):
    """Whatever deletes memories or people also enqueues the deletion of their Mem0 entries, in the same transaction.

    Triggers, because nothing else sees every deletion: bulk querysets, cascades, SQL by hand. Word postings are read
    by index alone, and vectors stay in their row, where an exact scan of one person needs no second look-up each.
    """

    dependencies = [
        ("accounts", "0002_timezone_is_known"),
        ("memories", "0003_history_and_words"),
        ("procrastinate", "0041_post_retry_failed_job"),
    ]

    operations = [
        migrations.RunSQL(
            sql="""
            CREATE FUNCTION memories_enqueue_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM procrastinate_defer_jobs_v1(array_agg(ROW(
                    'upkeep', 'memories.delete_entries', 0, NULL, NULL,
                    jsonb_build_object('user_id', batch.user_id, 'mem0_ids', batch.mem0_ids), NULL
                )::procrastinate_job_to_defer_v1))
                FROM (
                    SELECT user_id, jsonb_agg(mem0_id) AS mem0_ids FROM (
                        SELECT user_id, mem0_id, (row_number() OVER (PARTITION BY user_id) - 1) / 100 AS hundred
                        FROM gone
                    ) AS numbered GROUP BY user_id, hundred
                ) AS batch HAVING count(*) > 0;
                RETURN NULL;
            END $$;
            CREATE TRIGGER memories_enqueue_deletion AFTER DELETE ON memories_memory
                REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION memories_enqueue_deletion();

            CREATE FUNCTION memories_enqueue_deletion_of_user() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM procrastinate_defer_jobs_v1(array_agg(ROW(
                    'upkeep', 'memories.delete_entries_of_user', 0, NULL, NULL,
                    jsonb_build_object('user_id', gone.id), NULL
                )::procrastinate_job_to_defer_v1))
                FROM gone HAVING count(*) > 0;
                RETURN NULL;
            END $$;
            CREATE TRIGGER memories_enqueue_deletion_of_user AFTER DELETE ON accounts_whatsappuser
                REFERENCING OLD TABLE AS gone FOR EACH STATEMENT
                EXECUTE FUNCTION memories_enqueue_deletion_of_user();
            """,
            reverse_sql="""
            DROP TRIGGER memories_enqueue_deletion_of_user ON accounts_whatsappuser;
            DROP FUNCTION memories_enqueue_deletion_of_user();
            DROP TRIGGER memories_enqueue_deletion ON memories_memory;
            DROP FUNCTION memories_enqueue_deletion();
            """,
        ),
        migrations.RunSQL(
            sql="""
            CREATE UNIQUE INDEX memory_words_of_user ON memories_memoryword (user_id, word, memory_id)
                INCLUDE (count, word_count);
            ALTER TABLE memories_memoryword DROP CONSTRAINT memories_memoryword_pkey;
            ALTER TABLE memories_memoryword ADD CONSTRAINT memories_memoryword_pkey
                PRIMARY KEY USING INDEX memory_words_of_user;
            """,
            reverse_sql="""
            ALTER TABLE memories_memoryword DROP CONSTRAINT memories_memoryword_pkey;
            ALTER TABLE memories_memoryword ADD CONSTRAINT memories_memoryword_pkey
                PRIMARY KEY (user_id, word, memory_id);
            """,
        ),
        migrations.RunSQL(
            sql="""
            ALTER TABLE mem0_local ALTER COLUMN vector SET STORAGE PLAIN;
            DROP INDEX mem0_local_key;
            CREATE UNIQUE INDEX mem0_local_key ON mem0_local ((payload->>'user_id'), (payload->>'key'));
            CREATE TABLE mem0_gemini (id uuid PRIMARY KEY, vector vector(768), payload jsonb);
            ALTER TABLE mem0_gemini ALTER COLUMN vector SET STORAGE PLAIN;
            CREATE INDEX mem0_gemini_user ON mem0_gemini ((payload->>'user_id'));
            CREATE UNIQUE INDEX mem0_gemini_key ON mem0_gemini ((payload->>'user_id'), (payload->>'key'));
            """,
            reverse_sql="""
            DROP TABLE mem0_gemini;
            DROP INDEX mem0_local_key;
            CREATE UNIQUE INDEX mem0_local_key ON mem0_local ((payload->>'key'));
            ALTER TABLE mem0_local ALTER COLUMN vector SET STORAGE EXTERNAL;
            """,
        ),
    ]
