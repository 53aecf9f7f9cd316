from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    """What reads whole tables, while others write to them."""

    atomic = False

    dependencies = [
        ('messaging', '0008_takeover'),
    ]

    operations = [
        ValidateConstraint(model_name='rawmessage', name='raw_message_status_known'),
        ValidateConstraint(model_name='outboundmessage', name='outbound_by_bot_or_staff'),
        AddIndexConcurrently(
            model_name='rawmessage',
            index=models.Index(condition=models.Q(('status', 'held')), fields=['user'], name='raw_message_held'),
        ),
        AddIndexConcurrently(
            model_name='outboundmessage',
            index=models.Index(condition=models.Q(('interaction', None)), fields=['user', 'created_at'], name='outbound_by_staff'),
        ),
    ]
