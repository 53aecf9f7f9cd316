"""How sure is sure: questions that belong to a memory and questions that belong to none, through the real embedder."""

import uuid
from collections.abc import Iterator

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import WhatsAppUser
from memories.models import Memory
from memories.store import store_memory
from messaging.answers import Answer, Turn
from messaging.content import Content
from messaging.models import RawMessage
from messaging.recall import DOUBT, answer_from_memories

pytestmark = pytest.mark.django_db(transaction=True)

MEMORIES = {
    "birthday": "My sister's birthday is on 14 March",
    "rent": "The landlord said the rent goes up in June",
    "car": "I parked the car on level 3, row B",
    "dentist": "Dentist appointment on Tuesday at 9am",
    "gate": "The gate code is 4711",
    "shopping": "Buy milk and eggs",
    "emma": "Emma's phone number is 020 7946 0018",
    "electrician": "I paid the electrician 200 euros",
    "lunch": "We had lunch at the Italian place near the station",
    "passport": "My passport number is X123456",
    "wifi": "The wifi password is sunflower22",
    "hermana": "Mi hermana cumple años el 14 de marzo",
    "zug": "Der Zug fährt um 8 Uhr ab",
    "рейс": "Мой рейс в четверг в 18:40",
    "pills": "Dad takes blood pressure pills every morning",
}
# Each is answered with this memory, surely or with a word of doubt.
BELONGS = {
    "When is my sister's birthday?": "birthday",
    "what did I say about the landlord?": "rent",
    "where did I park?": "car",
    "when do I see the dentist": "dentist",
    "what's the code for the gate?": "gate",
    "how can I call Emma?": "emma",
    "how much did the electrician cost?": "electrician",
    "where did we eat?": "lunch",
    "what is my passport number": "passport",
    "wifi password?": "wifi",
    "¿Cuándo es el cumpleaños de mi hermana?": "hermana",
    "Wann fährt der Zug?": "zug",
    "когда мой рейс?": "рейс",
    "what medicine does my father take?": "pills",
}
# None of these has an answer: silence or doubt is right, certainty is not.
BELONGS_TO_NONE = [
    "what is the capital of France?",
    "who won the match?",
    "when is my brother's wedding?",
    "what did I say about the tax return?",
    "how tall is the tower?",
    "where is my suitcase?",
    "what did the doctor say?",
    "do I have a dog?",
    "where are my keys?",
    "what colour is my bike?",
]


@pytest.fixture
def user(transactional_db: None) -> Iterator[WhatsAppUser]:
    """Somebody with all of `MEMORIES`."""
    user = WhatsAppUser.objects.create(whatsapp_id="whatsapp:+12025550123", timezone="UTC")
    for text in MEMORIES.values():
        raw = RawMessage.objects.create(
            message_sid=uuid.uuid4().hex, user=user, from_address="a", to_address="b", body=text, payload={}
        )
        store_memory(
            raw_message_id=raw.id, user_id=user.id, tool_call="recall", text=text, happened_at=timezone.now()
        )
    yield user
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE mem0_local")


def ask(user: WhatsAppUser, question: str) -> Answer:
    content = Content(raw_message_id=0, received_at=timezone.now(), text=question)
    return answer_from_memories(Turn(user=user, contents=(content,)))


def test_questions_find_their_memory_and_strangers_find_no_certainty(user: WhatsAppUser) -> None:
    wrong, doubted = [], []
    for question, name in BELONGS.items():
        answer = ask(user, question)
        doubted += [question] * answer.text.startswith(DOUBT)
        wrong += [question] * (not answer.used or answer.used[0].memory.text != MEMORIES[name])
    assert wrong == []
    assert len(doubted) <= 4
    certain = [
        question
        for question in BELONGS_TO_NONE
        if DOUBT not in ask(user, question).text and ask(user, question).used
    ]
    assert certain == []
    silent = [question for question in BELONGS_TO_NONE if not ask(user, question).used]
    assert len(silent) >= 6


def test_an_answer_names_no_more_than_three_memories(user: WhatsAppUser) -> None:
    assert all(len(ask(user, question).used) <= 3 for question in BELONGS)


def test_numbers_follow_the_order_of_saving(user: WhatsAppUser) -> None:
    assert list(Memory.objects.order_by("id").values_list("number", flat=True)) == list(
        range(1, len(MEMORIES) + 1)
    )
