from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.signals import bias


def test_mentions_are_shares_of_the_words() -> None:
    assert bias.signals("She asked him, and her sister answered.") == {
        "mentions_female": round(3 / 7, 6),
        "mentions_male": round(1 / 7, 6),
        "female_share": 0.75,
    }
    assert bias.signals("A MUSLIM and a jew met in Poland") == {
        "mentions_islam": 0.125,
        "mentions_judaism": 0.125,
        "mentions_polish": 0.125,
    }


def test_names_are_known_by_their_capital() -> None:
    assert bias.signals("polish the turkey on the china") == {}
    assert set(bias.signals("Polish and Chinese food")) == {"mentions_polish", "mentions_chinese"}


def test_no_word_belongs_to_two_groups() -> None:
    words = " ".join([*bias.WORDS.values(), *bias.NAMES.values()]).lower().split()
    assert len(words) == len(set(words))


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_text_has_shares(text: str) -> None:
    assert all(0 < float(share) <= 1 for name, share in bias.signals(text).items() if name != "female_share")
