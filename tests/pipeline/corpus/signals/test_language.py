import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.signals import language
from pipeline.corpus.signals.config import LanguageConfig

ENGLISH = "The house stands on the hill by the river, and nobody lives there now. "
GERMAN = "Der schnelle braune Fuchs springt über den faulen Hund und läuft weg. "


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (ENGLISH, "en"),
        (GERMAN, "de"),
        ("我们昨天在北京的一家小饭馆里吃了晚饭,然后走路回家。", "zh"),
        ("私は昨日、友達と一緒に映画を見に行きました。とても楽しかったです。", "ja"),
        ("ذهبت أمس إلى السوق مع أختي واشترينا بعض الخضروات والفواكه.", "ar"),
        ("어제 친구와 함께 영화를 보러 갔습니다. 정말 재미있었어요.", "ko"),
        ("Вчера мы ходили в театр и смотрели новую пьесу.", "ru"),
    ],
)
def test_a_language_is_named(text: str, code: str) -> None:
    found, score = language.detect(text)
    assert found == code
    assert score > 0.5


def test_the_whole_text_counts_and_not_its_first_line() -> None:
    assert language.detect(GERMAN + "\n" + ENGLISH * 20)[0] == "en"
    assert language.detect(GERMAN + "</s> " + ENGLISH * 20)[0] == "en"  # the model's own mark of an end


def test_capitals_are_no_language_of_their_own() -> None:
    assert language.detect("THIS IS A SHORT MESSAGE WRITTEN IN CAPITALS")[0] == "en"


@pytest.mark.parametrize("text", ["", " \n", "1234 + 5", "😀😀", "\u202e\u200b", "...!?"])
def test_a_text_without_letters_has_none(text: str) -> None:
    assert language.detect(text) == (language.UNKNOWN, 0.0)


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_text_has_an_answer_that_is_always_the_same(text: str) -> None:
    code, score = language.detect(text)
    assert code
    assert 0 <= score <= 1
    assert language.detect(text) == (code, score)


def test_other_languages_and_doubtful_ones_go_where_asked() -> None:
    assert language.judge(GERMAN, LanguageConfig()).broken is None
    kept = language.judge(ENGLISH, LanguageConfig(keep=("en",)))
    assert kept.broken is None
    assert kept.signals["language"] == "en"
    gone = language.judge(GERMAN, LanguageConfig(keep=("en", "zh")))
    assert gone.broken == ("language", gone.signals["language_score"])
    doubtful = language.judge("tu", LanguageConfig(min_score=0.99))
    assert doubtful.broken is not None
    assert doubtful.broken[0] == "language_score < 0.99"


def test_neither_network_nor_cache_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    language._model.cache_clear()
    assert language.detect(ENGLISH)[0] == "en"
