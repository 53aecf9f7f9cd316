from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('memories', '0006_kinds_and_events_in_history'),
    ]

    operations = [
        migrations.AlterField(
            model_name='memory',
            name='type',
            field=models.CharField(choices=[('note', 'Note'), ('place', 'Place'), ('event', 'Event'), ('task', 'Task'), ('person', 'Person'), ('preference', 'Preference'), ('file', 'File')], default='note', max_length=16),
        ),
    ]
