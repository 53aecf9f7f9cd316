import django.db.models.deletion
import django.db.models.functions.text
import django.db.models.lookups
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_notices'),
        ('media', '0001_files_and_links'),
        ('messaging', '0003_bursts_and_confirmations'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='outboundmessage',
            name='outbound_body_fits',
        ),
        migrations.AddField(
            model_name='outboundmessage',
            name='has_media',
            field=models.BooleanField(db_default=False, default=False, help_text='Also when the file is forgotten since.'),
        ),
        migrations.AddField(
            model_name='outboundmessage',
            name='media',
            field=models.ForeignKey(blank=True, db_index=False, help_text='The file that goes with this part.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='sent_back', to='media.messagemedia'),
        ),
        migrations.AddField(
            model_name='rawmessage',
            name='media_pending',
            field=models.BooleanField(db_default=False, default=False, help_text='Its attachments are being fetched; the answer waits for them, for a while.'),
        ),
        migrations.AlterField(
            model_name='outboundmessage',
            name='body',
            field=models.TextField(blank=True),
        ),
        migrations.AddIndex(
            model_name='outboundmessage',
            index=models.Index(condition=models.Q(('media__isnull', False)), fields=['media'], name='outbound_by_media'),
        ),
        migrations.AddIndex(
            model_name='rawmessage',
            index=models.Index(condition=models.Q(('media_pending', True)), fields=['received_at'], name='raw_message_media_pending'),
        ),
        migrations.AddConstraint(
            model_name='outboundmessage',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(django.db.models.lookups.GreaterThan(django.db.models.functions.text.Length('body'), 0), ('has_media', True), _connector='OR'), django.db.models.lookups.LessThanOrEqual(django.db.models.functions.text.Length('body'), 1600)), name='outbound_body_fits'),
        ),
        migrations.AddConstraint(
            model_name='outboundmessage',
            constraint=models.CheckConstraint(condition=models.Q(('media', None), ('has_media', True), _connector='OR'), name='outbound_media_is_said'),
        ),
    ]
