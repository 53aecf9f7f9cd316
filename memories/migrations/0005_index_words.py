from django.db import migrations

from memories.words import count_words


def index_words(apps, schema_editor):
    """Index the memories there are already."""
    Memory, MemoryWord = (apps.get_model("memories", name) for name in ("Memory", "MemoryWord"))
    for memory in Memory.objects.iterator(chunk_size=500):
        counts = count_words(memory.text)
        Memory.objects.filter(id=memory.id).update(word_count=counts.total())
        MemoryWord.objects.bulk_create(
            MemoryWord(
                user_id=memory.user_id,
                word=word,
                memory_id=memory.id,
                count=min(count, 32767),
                word_count=counts.total(),
            )
            for word, count in counts.items()
        )


class Migration(migrations.Migration):
    """The words of the memories there are already."""

    dependencies = [("memories", "0004_entries_follow_memories")]

    operations = [migrations.RunPython(index_words, migrations.RunPython.noop)]
