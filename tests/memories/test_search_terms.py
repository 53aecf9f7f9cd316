"""A question is reduced to the words that say what to look for, in many languages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memories.search_terms import search_terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("when is my sister's birthday", "sister's birthday"),
        ("What did I say about the landlord?", "landlord"),
        ("What did I say?", ""),
        ("what have I told you", ""),
        ("Show me notes", ""),
        ("Tell me about it", ""),
        ("where did I park", "park"),
        ("Do I have anything about the tax return from Ana?", "tax return Ana"),
        ("remind me what Dr. Wu said about dose 2.5", "Dr Wu dose 2.5"),
        ("what did my son eat", "son eat"),
        ("what's Ana@example.com for", "Ana@example.com"),
        ("¿Cuándo es el cumpleaños de mi hermana?", "cumpleaños hermana"),
        ("o que eu disse sobre o aluguel", "aluguel"),
        ("quand est l'anniversaire de ma sœur", "anniversaire sœur"),
        ("wann hat meine Schwester Geburtstag", "Schwester Geburtstag"),
        ("quando è il compleanno di mia sorella", "compleanno sorella"),
        ("wanneer is mijn zus jarig", "zus jarig"),
        ("когда день рождения моей сестры", "день рождения сестры"),
        ("मेरी बहन का जन्मदिन कब है", "बहन जन्मदिन"),
        ("meri behen ka janamdin kab hai", "behen janamdin"),
        ("מתי יום ההולדת של אחותי", "יום ההולדת אחותי"),
        ("متى عيد ميلاد أختي", "عيد ميلاد أختي"),
        ("妹の誕生日はいつですか", "妹の誕生日は"),
        ("我妹妹的生日是什么时候", "我妹妹的生日是"),
    ],
)
def test_a_question_is_reduced_to_what_to_look_for(text: str, terms: str) -> None:
    assert search_terms(text) == terms


@settings(max_examples=300, print_blob=True)
@given(text=st.text(max_size=80))
def test_nothing_is_added_to_any_text(text: str) -> None:
    assert len(search_terms(text)) <= len(text)
