import django.db.models.deletion
import django.db.models.functions.datetime
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    """Staff may have a conversation. Nothing here reads a big table while it locks it: 0009 checks and indexes."""

    dependencies = [
        ('accounts', '0008_read_once_a_day'),
        ('messaging', '0007_back_office_lists'),
    ]

    operations = [
        migrations.CreateModel(
            name='Takeover',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='takeover', to='accounts.whatsappuser')),
                ('staff_id', models.BigIntegerField(help_text="The login's key.")),
                ('staff_name', models.CharField(help_text="The login's name at that time.", max_length=150)),
                ('since', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('active_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), help_text='When it began, or the login wrote last, whichever is later.')),
            ],
            options={
                'indexes': [models.Index(fields=['active_at'], name='takeover_by_activity')],
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('staff_name', ''), _negated=True), name='takeover_by_somebody'),
                    models.CheckConstraint(condition=models.Q(('active_at__gte', models.F('since'))), name='takeover_active_after_it_began'),
                ],
            },
        ),
        migrations.AlterField(
            model_name='rawmessage',
            name='status',
            field=models.CharField(choices=[('received', 'Received'), ('held', 'Held'), ('answered', 'Answered'), ('ignored', 'Ignored')], db_default='received', default='received', max_length=8),
        ),
        migrations.RemoveConstraint(
            model_name='rawmessage',
            name='raw_message_status_known',
        ),
        AddConstraintNotValid(
            model_name='rawmessage',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['received', 'held', 'answered', 'ignored'])), name='raw_message_status_known'),
        ),
        migrations.AddField(
            model_name='outboundmessage',
            name='written_by',
            field=models.CharField(blank=True, db_default='', default='', help_text='The name of the login that wrote it; blank for what the bot says.', max_length=150),
        ),
        migrations.AlterField(
            model_name='outboundmessage',
            name='interaction',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='outbound_messages', to='messaging.interaction'),
        ),
        migrations.AlterField(
            model_name='outboundmessage',
            name='part',
            field=models.PositiveSmallIntegerField(help_text='1, 2, … of one answer, or of one text of staff.'),
        ),
        AddConstraintNotValid(
            model_name='outboundmessage',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('interaction__isnull', False), ('written_by', '')), models.Q(('interaction', None), models.Q(('written_by', ''), _negated=True)), _connector='OR'), name='outbound_by_bot_or_staff'),
        ),
        migrations.RunSQL(
            sql=migrations.RunSQL.noop,
            # Runs first when going back: the version before has no place for what staff wrote, and answers what is held.
            reverse_sql="""
            UPDATE messaging_rawmessage SET status = 'received' WHERE status = 'held';
            DELETE FROM messaging_deliveryevent USING messaging_outboundmessage AS sent
                WHERE outbound_message_id = sent.id AND sent.interaction_id IS NULL;
            DELETE FROM messaging_outboundmessage WHERE interaction_id IS NULL;
            SET CONSTRAINTS ALL IMMEDIATE;
            """,
        ),
    ]
