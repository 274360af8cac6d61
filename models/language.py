"""Which language a text is in: an ISO 639-1 code with its probability, or `und` rather than a guess.

Alphabets that only one language uses decide at once. Otherwise a text needs `LETTERS` letters and the likeliest
language `CERTAIN` probability. Account names, page addresses and hashtags' signs tell nothing and are not read.
"""

from __future__ import annotations

import re
from typing import Any

from models.gate import ModelRefused
from transforms.logic.wording import visible

LIMIT = 600
LETTERS = 12
CERTAIN = 0.3
UNKNOWN = "und"

_SILENT = re.compile(r"(?:https?://|www\.)\S*|@[\w.\-]+|[#_\d]")
_LETTER = re.compile(r"[^\W\d_]")
_ALPHABETS = (
    ("ko", re.compile(r"[\uac00-\ud7a3]")),
    ("ja", re.compile(r"[\u3041-\u30fa]")),  # before Chinese: kana decide
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
    ("th", re.compile(r"[\u0e01-\u0e4e]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("he", re.compile(r"[\u05d0-\u05ea]")),
    ("hy", re.compile(r"[\u0531-\u0587]")),
    ("ka", re.compile(r"[\u10d0-\u10ff]")),
    ("ta", re.compile(r"[\u0b80-\u0bff]")),
    ("te", re.compile(r"[\u0c00-\u0c7f]")),
    ("ml", re.compile(r"[\u0d00-\u0d7f]")),
)


class Languages:
    """An opened identifier: `language("Uwielbiam te buty, są świetne") -> ("pl", 0.99)`."""

    def __init__(self) -> None:
        try:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier
        except ImportError as error:
            raise ModelRefused(
                "language identification: expected the package py3langid, got none; pip install 'rapport[nlp]'"
            ) from error
        self._identifier: Any = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def language(self, text: str) -> tuple[str, float]:
        """The language of a text and its probability, three decimals; `und` with the probability it fell short of."""
        read = " ".join(_SILENT.sub(" ", visible(text, LIMIT)).split())
        letters = len(_LETTER.findall(read))
        for code, alphabet in _ALPHABETS:
            if letters and 2 * len(alphabet.findall(read)) > letters:
                return code, 1.0
        if letters < LETTERS:
            return UNKNOWN, 0.0
        code, probability = self._identifier.classify(read)
        return (code if probability >= CERTAIN else UNKNOWN), round(float(probability), 3)
