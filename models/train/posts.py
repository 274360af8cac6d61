"""The labelled posts that sentiment is trained and judged on, read in place from the data folder.

Judging is on other periods and other people than training: SemEval's posts of 2015 and the validation part of UMSAB are
held out, those of 2014 and a tenth of UMSAB's training part serve to set temperature. Whatever shares seven words in a
row with a post of those is dropped from training, for near-copies between splits flatter a model.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from zlib import crc32

from models.features import words

LABELS = ("negative", "neutral", "positive")
SPOKEN = {
    "arabic": "ar",
    "english": "en",
    "french": "fr",
    "german": "de",
    "hindi": "hi",
    "italian": "it",
    "portuguese": "pt",
    "spanish": "es",
}
SUBTITLES = ("cs", "de", "es", "fr", "it", "nl", "pl", "pt")
HELD_YEAR, DEV_YEAR = "2015", "2014"
SHINGLE = 7
_GLAD, _SORE = frozenset("58"), frozenset("1346")  # joy, trust; anger, disgust, fear, sadness


@dataclass(frozen=True, slots=True)
class Post:
    """A text with its sentiment (index into LABELS), its data set and its language."""

    text: str
    label: int
    source: str
    language: str


@dataclass(frozen=True, slots=True)
class Posts:
    """Posts by their use; `dropped` counts those that training lost to near-copies and repeats."""

    train: list[Post]
    dev: list[Post]
    held: list[Post]
    dropped: int


def posts(data: Path) -> Posts:
    """All posts of the data folder, split. Raises OSError where a data set is missing."""
    found = [*_semeval(data), *_umsab(data, "train"), *_umsab(data, "val"), *_xed(data)]
    held = [post for post in found if post.source in (f"semeval-{HELD_YEAR}", "umsab-val") or _drawn(post, "xed", 5)]
    dev = [post for post in found if post.source == f"semeval-{DEV_YEAR}" or _drawn(post, "umsab-train", 10)]
    kept_back = {id(post) for post in (*held, *dev)}
    rest = [post for post in found if id(post) not in kept_back]
    train = list(unlike(rest, [*held, *dev]))
    return Posts(train, list(unlike(dev, held)), held, len(rest) - len(train))


def unlike(candidates: Iterable[Post], others: Sequence[Post]) -> Iterator[Post]:
    """The candidates without repeats and without near-copies of `others`."""
    taken = {shingle for post in others for shingle in _shingles(post.text)}
    for post in candidates:
        shingles = _shingles(post.text)
        if shingles and taken.isdisjoint(shingles):
            taken.add(" ".join(_letters(post.text)))
            yield post


def _shingles(text: str) -> list[str]:
    found = _letters(text)
    runs = [" ".join(found[start : start + SHINGLE]) for start in range(len(found) - SHINGLE + 1)]
    return [" ".join(found), *runs] if found else []


def _letters(text: str) -> list[str]:
    return [word for word in words(text) if word[0].isalpha()]


def _drawn(post: Post, source: str, share: int) -> bool:
    """One in `share` posts of a source, drawn by the text itself so that repeats fall together."""
    return post.source == source and crc32(post.text.encode()) % share == 0


def _semeval(data: Path) -> Iterator[Post]:
    for file in sorted((data / "text/semeval2017-sentiment").glob("twitter-*-A.txt")):
        year = file.name[len("twitter-") :][:4]
        for line in file.read_text("utf-8").splitlines():
            _, label, text, *_ = [*line.split("\t"), "", ""]
            if label in LABELS:
                yield Post(_readable(text), LABELS.index(label), f"semeval-{year}", "en")


def _umsab(data: Path, part: str) -> Iterator[Post]:
    for name, language in SPOKEN.items():
        folder = data / "text/umsab-sentiment" / name
        texts = (folder / f"{part}_text.txt").read_text("utf-8").split("\n")
        labels = (folder / f"{part}_labels.txt").read_text("utf-8").split()
        for text, label in zip(texts, labels, strict=False):
            yield Post(_readable(text), int(label), f"umsab-{part}", language)


def _xed(data: Path) -> Iterator[Post]:
    for language in SUBTITLES:
        for text, marks in subtitles(data, language):
            glad, sore = bool(marks & _GLAD), bool(marks & _SORE)
            if not (glad and sore):
                yield Post(text, 2 if glad else 0 if sore else 1, "xed", language)


def subtitles(data: Path, language: str) -> Iterator[tuple[str, set[str]]]:
    """Film lines of one language with the numbers of their emotions."""
    with gzip.open(data / "text/xed" / f"{language}-projections.tsv.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            text, _, marks = line.rstrip("\n").partition("\t")
            yield text, {mark.strip() for mark in marks.split(",")}


def _readable(text: str) -> str:
    """The files escape some characters twice."""
    return unescape(text).replace("\\u2019", "’").replace("\\u002c", ",").replace('\\"', '"')
