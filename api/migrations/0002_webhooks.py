import api.models
import django.contrib.postgres.fields
import django.contrib.postgres.functions
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    """Endpoints, deliveries, and the triggers that queue a delivery and its job with the change it tells of.

    Triggers, because nothing else sees every change: bulk querysets, cascades, SQL by hand. While nobody asks for an
    event, its trigger looks into a table without rows and is done.
    """

    dependencies = [
        ('api', '0001_idempotent_requests'),
        ('memories', '0008_metadata'),
        ('messaging', '0004_media'),
        ('procrastinate', '0041_post_retry_failed_job'),
    ]

    operations = [
        migrations.CreateModel(
            name='WebhookEndpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('url', models.CharField(help_text='https, or a host in WEBHOOK_LOCAL_HOSTS.', max_length=500)),
                ('secret', models.CharField(default=api.models.make_secret, editable=False, max_length=100)),
                ('events', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('memory.created', 'memory.created'), ('memory.updated', 'memory.updated'), ('memory.deleted', 'memory.deleted'), ('message.answered', 'message.answered')], max_length=20), size=None)),
                ('is_enabled', models.BooleanField(db_default=True, default=True)),
                ('disabled_reason', models.CharField(blank=True, db_default='', help_text='Why we have switched it off, if we have.', max_length=200)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='webhook_endpoint_has_a_name'), models.CheckConstraint(condition=models.Q(('url', ''), _negated=True), name='webhook_endpoint_has_a_url'), models.CheckConstraint(condition=models.Q(('secret__regex', '^whsec_[A-Za-z0-9+/]{43}=$')), name='webhook_endpoint_secret_shape'), models.CheckConstraint(condition=models.Q(models.Q(('events', []), _negated=True), ('events__contained_by', ['memory.created', 'memory.updated', 'memory.deleted', 'message.answered'])), name='webhook_endpoint_events_known'), models.CheckConstraint(condition=models.Q(('is_enabled', False), ('disabled_reason', ''), _connector='OR'), name='webhook_endpoint_reason_means_disabled')],
            },
        ),
        migrations.CreateModel(
            name='WebhookDelivery',
            fields=[
                ('id', models.UUIDField(db_default=django.contrib.postgres.functions.RandomUUID(), default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('event', models.CharField(choices=[('memory.created', 'memory.created'), ('memory.updated', 'memory.updated'), ('memory.deleted', 'memory.deleted'), ('message.answered', 'message.answered')], max_length=20)),
                ('object_id', models.BigIntegerField(help_text='Of the memory, or of the answer.')),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('delivered', 'Delivered'), ('failed', 'Failed'), ('dropped', 'Dropped')], db_default='pending', default='pending', max_length=9)),
                ('attempts', models.PositiveSmallIntegerField(db_default=0, default=0)),
                ('attempted_at', models.DateTimeField(blank=True, null=True)),
                ('delivered_at', models.DateTimeField(blank=True, null=True)),
                ('response_status', models.PositiveSmallIntegerField(blank=True, help_text='Of the last attempt, if it got an answer.', null=True)),
                ('error', models.CharField(blank=True, choices=[('status', 'Status'), ('redirect', 'Redirect'), ('gone', 'Gone'), ('unreachable', 'Unreachable'), ('address', 'Address'), ('lost', 'Lost'), ('disabled', 'Disabled'), ('forgotten', 'Forgotten')], db_default='', help_text='The kind of the last failure.', max_length=11)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('endpoint', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='api.webhookendpoint')),
            ],
            options={
                'verbose_name_plural': 'webhook deliveries',
                'indexes': [models.Index(fields=['-created_at'], name='webhook_delivery_by_age'), models.Index(condition=models.Q(('status', 'pending')), fields=['created_at'], name='webhook_delivery_pending')],
                'constraints': [models.CheckConstraint(condition=models.Q(('event__in', ['memory.created', 'memory.updated', 'memory.deleted', 'message.answered'])), name='webhook_delivery_event_known'), models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'delivered', 'failed', 'dropped'])), name='webhook_delivery_status_known'), models.CheckConstraint(condition=models.Q(('error__in', ['', 'status', 'redirect', 'gone', 'unreachable', 'address', 'lost', 'disabled', 'forgotten'])), name='webhook_delivery_error_known'), models.CheckConstraint(condition=models.Q(models.Q(('attempted_at', None), ('attempts', 0)), models.Q(('attempted_at__isnull', False), ('attempts__gt', 0)), _connector='OR'), name='webhook_delivery_attempted_since'), models.CheckConstraint(condition=models.Q(models.Q(('delivered_at__isnull', False), ('error', ''), ('response_status__gte', 200), ('response_status__isnull', False), ('response_status__lt', 300), ('status', 'delivered')), models.Q(models.Q(('status', 'delivered'), _negated=True), ('delivered_at', None)), _connector='OR'), name='webhook_delivery_delivered_with_2xx'), models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['failed', 'dropped']), _negated=True), models.Q(('error', ''), _negated=True), _connector='OR'), name='webhook_delivery_failed_for_a_reason')],
            },
        ),
        migrations.RunSQL(
            sql="""
            -- The endpoint's row is held until the change commits, so that an endpoint which is being deleted takes no
            -- change down with it. Answers to people go before webhooks: the priority.
            CREATE FUNCTION api_queue_webhooks(event_name text, object_ids bigint[]) RETURNS void
            LANGUAGE plpgsql AS $$
            DECLARE
                jobs procrastinate_job_to_defer_v1[];
            BEGIN
                WITH asking AS (
                    SELECT id FROM api_webhookendpoint WHERE is_enabled AND event_name = ANY (events)
                    ORDER BY id FOR KEY SHARE
                ), queued AS (
                    INSERT INTO api_webhookdelivery (endpoint_id, event, object_id)
                    SELECT asking.id, event_name, object_id FROM asking, unnest(object_ids) AS object_id
                    RETURNING id
                )
                SELECT array_agg(ROW(
                    'webhooks', 'api.deliver_webhook', -10, NULL, NULL,
                    jsonb_build_object('delivery_id', id), NULL
                )::procrastinate_job_to_defer_v1) INTO jobs FROM queued;
                IF jobs IS NOT NULL THEN
                    PERFORM procrastinate_defer_jobs_v1(jobs);
                END IF;
            END $$;

            -- Transition tables allow neither a list of columns nor several kinds of changes for one trigger.
            CREATE FUNCTION api_queue_webhooks_of_memories() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE
                event_name text := TG_ARGV[0];
                ids bigint[];
            BEGIN
                IF NOT EXISTS (
                    SELECT FROM api_webhookendpoint WHERE is_enabled AND event_name = ANY (events)
                ) THEN
                    RETURN NULL;
                END IF;
                IF TG_OP = 'INSERT' THEN
                    SELECT array_agg(id ORDER BY id) INTO ids FROM new_rows;
                ELSIF TG_OP = 'DELETE' THEN
                    SELECT array_agg(id ORDER BY id) INTO ids FROM old_rows;
                ELSE
                    SELECT array_agg(id ORDER BY id) INTO ids FROM old_rows AS was JOIN new_rows AS is_now USING (id)
                    WHERE (was.text, was.type, was.metadata, was.happened_at, was.event_start, was.event_end)
                        IS DISTINCT FROM
                        (is_now.text, is_now.type, is_now.metadata, is_now.happened_at, is_now.event_start,
                         is_now.event_end);
                END IF;
                IF ids IS NOT NULL THEN
                    PERFORM api_queue_webhooks(event_name, ids);
                END IF;
                RETURN NULL;
            END $$;
            CREATE TRIGGER api_memory_created AFTER INSERT ON memories_memory
                REFERENCING NEW TABLE AS new_rows
                FOR EACH STATEMENT EXECUTE FUNCTION api_queue_webhooks_of_memories('memory.created');
            CREATE TRIGGER api_memory_updated AFTER UPDATE ON memories_memory
                REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
                FOR EACH STATEMENT EXECUTE FUNCTION api_queue_webhooks_of_memories('memory.updated');
            CREATE TRIGGER api_memory_deleted AFTER DELETE ON memories_memory
                REFERENCING OLD TABLE AS old_rows
                FOR EACH STATEMENT EXECUTE FUNCTION api_queue_webhooks_of_memories('memory.deleted');

            -- For each row, because a turn saves its journal many times and is answered once: WHEN keeps all other
            -- updates from even being looked at.
            CREATE FUNCTION api_queue_webhooks_of_answer() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM api_queue_webhooks('message.answered', ARRAY[NEW.id]);
                RETURN NULL;
            END $$;
            CREATE TRIGGER api_message_answered AFTER UPDATE OF answered_at ON messaging_interaction
                FOR EACH ROW WHEN (OLD.answered_at IS NULL AND NEW.answered_at IS NOT NULL)
                EXECUTE FUNCTION api_queue_webhooks_of_answer();
            CREATE TRIGGER api_message_answered_at_once AFTER INSERT ON messaging_interaction
                FOR EACH ROW WHEN (NEW.answered_at IS NOT NULL)
                EXECUTE FUNCTION api_queue_webhooks_of_answer();
            """,
            reverse_sql="""
            DROP TRIGGER api_message_answered_at_once ON messaging_interaction;
            DROP TRIGGER api_message_answered ON messaging_interaction;
            DROP FUNCTION api_queue_webhooks_of_answer();
            DROP TRIGGER api_memory_deleted ON memories_memory;
            DROP TRIGGER api_memory_updated ON memories_memory;
            DROP TRIGGER api_memory_created ON memories_memory;
            DROP FUNCTION api_queue_webhooks_of_memories();
            DROP FUNCTION api_queue_webhooks(text, bigint[]);
            """,
        ),
    ]
