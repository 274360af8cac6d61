"""Language identification: sure or `und`."""

from __future__ import annotations

import sys

import pytest

from models.gate import ModelRefused
from models.language import Languages

pytest.importorskip("py3langid", reason="language identification needs py3langid (extra: nlp)")


@pytest.fixture(scope="module")
def languages() -> Languages:
    return Languages()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("I have been waiting for my parcel since Monday", "en"),
        ("Uwielbiam te buty, są naprawdę świetne", "pl"),
        ("Ich warte seit Montag auf mein Paket", "de"),
        ("Llevo esperando mi paquete desde el lunes", "es"),
        ("J'attends mon colis depuis lundi, c'est long", "fr"),
        ("Я жду свою посылку с понедельника", "ru"),
        ("この靴が大好きです", "ja"),
        ("我喜欢这双鞋子", "zh"),
        ("이 신발 좋아요", "ko"),
        ("ฉันชอบรองเท้า", "th"),
        ("Λατρεύω", "el"),
        ("אני אוהב", "he"),
        ("@fernweh https://shop.example/best-shoes-ever Gdzie jest moja paczka?", "pl"),
        ("Love", "und"),
        ("ok 123 !!!", "und"),
        ("😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀", "und"),
        ("@fernweh https://shop.example/a-very-long-english-address", "und"),
        ("", "und"),
    ],
)
def test_languages(languages: Languages, text: str, code: str) -> None:
    said, probability = languages.language(text)
    assert said == code
    assert 0 <= probability <= 1


def test_one_foreign_name_does_not_decide(languages: Languages) -> None:
    assert languages.language("My friend 田中 has been waiting for the parcel since Monday")[0] == "en"


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    with pytest.raises(ModelRefused, match="rapport\\[nlp\\]"):
        Languages()
