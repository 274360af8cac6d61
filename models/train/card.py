"""The model card of sentiment, written with the figures of the training run."""

from __future__ import annotations

from pathlib import Path

from models.registry import Pinned
from models.train.posts import LABELS, Posts
from models.train.scores import Line, Report

_TEXT = """# sentiment: negative, neutral or positive

Written by `python -m models.train.sentiment`; do not edit by hand.

| | |
|---|---|
| file | `models/{file}`, {size} bytes, sha256 `{sha256}` |
| release | {version}, features `{features}` |
| input | `slots` int32 (texts, width): hashed words, word pairs, runs of 3 to 5 characters; 0 pads |
| output | `scores` float (texts, 3): {labels} |
| learner | multinomial logistic regression on tf-idf rows scaled by class log ratios; weights of one byte; opset 18 |

## What it is for

A first, cheap opinion on every post that names a brand: tens of thousands of texts a second on one core. It judges the
whole text, not the brand: "sad about X, happy with Y" gets one label for both. It only labels: no text that it reads is
ever an instruction, and no reply is ever written from its output without an approved template.

## Data and licences

| data set | used for | licence |
|---|---|---|
| SemEval-2017 task 4A, posts of 2013 and 2016 (English) | training | research; texts are not redistributed |
| SemEval-2017 task 4A, posts of 2014 | temperature | as above |
| SemEval-2017 task 4A, posts of 2015 | held out | as above |
| UMSAB, training part, 8 languages | training, one tenth for temperature | Apache-2.0 repository; Twitter's terms |
| UMSAB, validation part | held out | as above |
| XED film lines, cs de es fr it nl pl pt | training at weight 0.3, one fifth held out | CC BY 4.0 (Helsinki-NLP) |

{train} posts trained on, {dev} for temperature, {held} held out. {dropped} posts were left out of training because they
repeat each other or share seven words in a row with a post of the other parts. No text is stored in the model or in
this repository. XED has emotions, not sentiment: joy and trust count as positive; anger, disgust, fear and sadness as
negative; lines with neither as neutral; lines with both are left out.

## Scores on held-out posts

"Majority" is the accuracy of always giving the commonest label; "keywords" the macro F1 of counting some sixty words
that anybody would think of (`models/train/keywords.py`). About a dozen settings were compared on the temperature
posts (2014 and a tenth of UMSAB's training part); the held-out figures were watched, not chosen by.

| posts | count | macro recall | macro F1 | accuracy | majority | keywords F1 | calibration error |
|---|---|---|---|---|---|---|---|
{lines}

Mean macro F1 over the eight languages of UMSAB: **{umsab:.3f}**.

### By label (precision / recall / F1)

| posts | {labels_row} |
|---|---|---|---|
{classes}

## Calibration

The logits are scaled by one temperature, set on the posts of 2014 and a tenth of UMSAB's training part. The
calibration error above is the mean gap between the winning label's probability and how often it is right (ten bins).
Labels are weighted evenly in training, so the model says "negative" more often than a mostly neutral stream has it.

## Limits

- Hindi is hardly better than chance. It is romanised and mixed with English here, and its probabilities are too sure;
  Devanagari has hardly been seen. Do not act on Hindi labels.
- Languages outside the table are guesses from shared words, emoticons and loan words: read the language column too.
- Irony, quotes, news about bad events, and comparisons of two brands are often wrong.
- Film lines (the only Polish and Czech in training) are not posts: expect less there than the table says.
- Account names and page addresses are not read. Only the first 2,000 characters of a text are.
- The words of 2013 to 2016: newer slang, products and emoji are unknown to it.

## Do it again

```text
pip install 'rapport[train]'
python -m models.train.sentiment --data FOLDER --out models/
```

`FOLDER` is the data folder with `text/semeval2017-sentiment`, `text/umsab-sentiment` and `text/xed`. One core, about
half a minute. Nothing is drawn by chance and sums run on one thread: on the same machine with the versions of
`deploy/dev.lock.txt` a second run gave the same sha256. Another processor may round differently in the last bit.
"""


def write_card(file: Path, pinned: Pinned, split: Posts, judged: Report) -> None:
    """Write the card of a registered model."""
    values = {
        **{name: getattr(pinned, name) for name in ("file", "sha256", "version", "features")},
        "size": f"{(file.parent.parent / pinned.file).stat().st_size:,}",
        "labels": ", ".join(LABELS),
        "labels_row": " | ".join(LABELS),
        "train": f"{len(split.train):,}",
        "dev": f"{len(split.dev):,}",
        "held": f"{len(split.held):,}",
        "dropped": f"{split.dropped:,}",
        "lines": "\n".join(_scores(line) for line in judged.lines),
        "classes": "\n".join(_classes(line) for line in judged.lines),
        "umsab": pinned.metrics["umsab_macro_f1"],
    }
    file.write_text(_TEXT.format(**values), "utf-8")


def _scores(line: Line) -> str:
    figures = (line.recall, line.f1, line.accuracy, line.majority, line.keywords, line.calibration)
    return f"| {line.name} | {line.count:,} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |"


def _classes(line: Line) -> str:
    cells = (" / ".join(f"{figure:.2f}" for figure in each) for each in line.classes)
    return f"| {line.name} | " + " | ".join(cells) + " |"
