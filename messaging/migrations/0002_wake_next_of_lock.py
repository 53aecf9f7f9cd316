from django.db import migrations


class Migration(migrations.Migration):
    """Wake a worker for a person's next message when one is done.

    Procrastinate announces jobs when they are inserted; one that waits for a lock would lie until the next poll.
    """

    dependencies = [
        ("messaging", "0001_initial"),
        ("procrastinate", "0041_post_retry_failed_job"),
    ]

    operations = [
        migrations.RunSQL(
            sql="""
            CREATE FUNCTION whatsbot_wake_next_of_lock() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE
                next_queue text;
                payload text;
            BEGIN
                SELECT queue_name INTO next_queue FROM procrastinate_jobs
                WHERE lock = OLD.lock AND status = 'todo' AND id <> OLD.id
                    AND (scheduled_at IS NULL OR scheduled_at <= now())
                ORDER BY priority DESC, id LIMIT 1;
                IF FOUND THEN
                    payload := json_build_object('type', 'job_inserted', 'job_id', OLD.id)::text;
                    PERFORM pg_notify('procrastinate_queue_v1#' || next_queue, payload);
                    PERFORM pg_notify('procrastinate_any_queue_v1', payload);
                END IF;
                RETURN NULL;
            END $$;
            CREATE TRIGGER whatsbot_wake_after_update AFTER UPDATE OF status ON procrastinate_jobs FOR EACH ROW
                WHEN (OLD.status = 'doing' AND NEW.status <> 'doing' AND NEW.lock IS NOT NULL)
                EXECUTE FUNCTION whatsbot_wake_next_of_lock();
            CREATE TRIGGER whatsbot_wake_after_delete AFTER DELETE ON procrastinate_jobs FOR EACH ROW
                WHEN (OLD.status = 'doing' AND OLD.lock IS NOT NULL)
                EXECUTE FUNCTION whatsbot_wake_next_of_lock();
            -- The lookup above, and a fetch's look for earlier jobs of the same lock.
            CREATE INDEX whatsbot_jobs_of_lock ON procrastinate_jobs (lock, priority DESC, id)
                WHERE status IN ('todo', 'doing');
            """,
            reverse_sql="""
            DROP INDEX whatsbot_jobs_of_lock;
            DROP TRIGGER whatsbot_wake_after_update ON procrastinate_jobs;
            DROP TRIGGER whatsbot_wake_after_delete ON procrastinate_jobs;
            DROP FUNCTION whatsbot_wake_next_of_lock();
            """,
        )
    ]
