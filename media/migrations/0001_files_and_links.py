import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    """Files by content, links to them, and the triggers that keep the two together.

    Triggers, because nothing else sees every deletion: cascades, bulk querysets, SQL by hand.
    """

    initial = True

    dependencies = [
        ('accounts', '0003_notices'),
        ('messaging', '0003_bursts_and_confirmations'),
        ('procrastinate', '0041_post_retry_failed_job'),
    ]

    operations = [
        migrations.CreateModel(
            name='MediaFile',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('file_hash', models.CharField(help_text='SHA-256, in lower-case hex.', max_length=64, unique=True)),
                ('size', models.PositiveBigIntegerField(help_text='Bytes.')),
                ('content_type', models.CharField(help_text='By content, whatever was claimed.', max_length=100)),
                ('kind', models.CharField(choices=[('picture', 'Picture'), ('sticker', 'Sticker'), ('voice note', 'Voice Note'), ('audio', 'Audio'), ('video', 'Video'), ('PDF', 'Pdf'), ('document', 'Document'), ('text file', 'Text'), ('contact card', 'Contact')], max_length=12)),
                ('storage_name', models.CharField(max_length=200, unique=True)),
                ('thumbnail_name', models.CharField(blank=True, help_text='Of a picture: a small JPEG.', max_length=200)),
                ('claimed_by', models.PositiveBigIntegerField(blank=True, help_text='The link whose job is storing or describing it.', null=True)),
                ('claimed_at', models.DateTimeField(blank=True, null=True)),
                ('stored_at', models.DateTimeField(blank=True, null=True)),
                ('forwarded_count', models.IntegerField(db_default=-1, default=-1, editable=False, help_text='Links − 1: how often it was sent again.')),
                ('facts', models.JSONField(blank=True, default=dict, help_text='What the file says of itself: see media/reading.py.')),
                ('text', models.TextField(blank=True, help_text='What it says word for word: text, transcript.')),
                ('description', models.TextField(blank=True, help_text='What it shows, in the language of the content.')),
                ('language', models.CharField(blank=True, help_text='BCP 47, as the model has it.', max_length=16)),
                ('described_by', models.CharField(blank=True, help_text='The language model; empty: not described.', max_length=100)),
                ('described_at', models.DateTimeField(blank=True, null=True)),
                ('description_error', models.CharField(blank=True, help_text='Why it is not described: the kind of failure.', max_length=200)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('described_at', None)), fields=['id'], name='media_file_undescribed')],
                'constraints': [models.CheckConstraint(condition=models.Q(('file_hash__regex', '^[0-9a-f]{64}$')), name='media_file_hash_shape'), models.CheckConstraint(condition=models.Q(('size__gt', 0)), name='media_file_has_bytes'), models.CheckConstraint(condition=models.Q(('forwarded_count__gte', -1)), name='media_file_count'), models.CheckConstraint(condition=models.Q(models.Q(('described_at', None), ('described_by', '')), models.Q(('described_at__isnull', False), models.Q(('described_by', ''), _negated=True)), _connector='OR'), name='media_file_described_by_somebody')],
            },
        ),
        migrations.CreateModel(
            name='MessageMedia',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveSmallIntegerField(help_text='0, 1, … in the message.')),
                ('file_name', models.CharField(blank=True, help_text='What the sender called it.', max_length=255)),
                ('refusal', models.CharField(blank=True, choices=[('too_big', 'Too Big'), ('empty', 'Empty'), ('type', 'Type'), ('mixed', 'Mixed'), ('broken', 'Broken'), ('bomb', 'Bomb'), ('address', 'Address'), ('gone', 'Gone'), ('unreachable', 'Unreachable'), ('deadly', 'Deadly'), ('repeated', 'Repeated')], max_length=12)),
                ('attempts', models.PositiveSmallIntegerField(db_default=0, default=0)),
                ('tokens', models.PositiveIntegerField(db_default=0, default=0, help_text="What the description cost, if this link's job asked for it.")),
                ('sent_at', models.DateTimeField(help_text='When the message was received.')),
                ('file', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='links', to='media.mediafile')),
                ('raw_message', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='media', to='messaging.rawmessage')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='media', to='accounts.whatsappuser')),
            ],
            options={
                'verbose_name_plural': 'message media',
                'indexes': [models.Index(condition=models.Q(('file__isnull', False)), fields=['user', '-sent_at'], name='message_media_by_user')],
                'constraints': [models.UniqueConstraint(fields=('raw_message', 'position'), name='message_media_once_per_place'), models.UniqueConstraint(fields=('raw_message', 'file'), name='message_media_once_per_file'), models.CheckConstraint(condition=models.Q(('file', None), ('refusal', ''), _connector='OR'), name='message_media_kept_or_refused'), models.CheckConstraint(condition=models.Q(('refusal__in', ['', 'too_big', 'empty', 'type', 'mixed', 'broken', 'bomb', 'address', 'gone', 'unreachable', 'deadly', 'repeated'])), name='message_media_refusal_known')],
            },
        ),
        migrations.RunSQL(
            sql="""
            -- A link more or less is one more or less in the count of its file, which goes with its last link. Whoever
            -- adds a link at that moment waits for the row and finds it gone (media/storing.py).
            CREATE FUNCTION media_count_links() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF TG_OP = 'UPDATE' AND NEW.file_id IS NOT DISTINCT FROM OLD.file_id THEN
                    RETURN NULL;
                END IF;
                IF TG_OP <> 'DELETE' AND NEW.file_id IS NOT NULL THEN
                    UPDATE media_mediafile SET forwarded_count = forwarded_count + 1 WHERE id = NEW.file_id;
                END IF;
                IF TG_OP <> 'INSERT' AND OLD.file_id IS NOT NULL THEN
                    PERFORM 1 FROM media_mediafile WHERE id = OLD.file_id FOR UPDATE;
                    UPDATE media_mediafile SET forwarded_count = forwarded_count - 1 WHERE id = OLD.file_id;
                    DELETE FROM media_mediafile WHERE id = OLD.file_id AND forwarded_count < 0;
                END IF;
                RETURN NULL;
            END $$;
            CREATE TRIGGER media_count_links AFTER INSERT OR UPDATE OF file_id OR DELETE ON media_messagemedia
                FOR EACH ROW EXECUTE FUNCTION media_count_links();

            CREATE FUNCTION media_enqueue_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM procrastinate_defer_jobs_v1(array_agg(ROW(
                    'upkeep', 'media.delete_objects', 0, NULL, NULL,
                    jsonb_build_object('names', batch.names), NULL
                )::procrastinate_job_to_defer_v1))
                FROM (
                    SELECT jsonb_agg(name) AS names FROM (
                        SELECT name, (row_number() OVER () - 1) / 100 AS hundred
                        FROM gone, unnest(ARRAY[storage_name, thumbnail_name]) AS name WHERE name <> ''
                    ) AS numbered GROUP BY hundred
                ) AS batch HAVING count(*) > 0;
                RETURN NULL;
            END $$;
            CREATE TRIGGER media_enqueue_deletion AFTER DELETE ON media_mediafile
                REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION media_enqueue_deletion();
            """,
            reverse_sql="""
            DROP TRIGGER media_enqueue_deletion ON media_mediafile;
            DROP FUNCTION media_enqueue_deletion();
            DROP TRIGGER media_count_links ON media_messagemedia;
            DROP FUNCTION media_count_links();
            """,
        ),
    ]
