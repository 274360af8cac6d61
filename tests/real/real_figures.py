"""The figures of a run, counted in its tables: who, what was said, why not, how well posts were read, bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipelines.config import Config
from pipelines.views import connect
from tests.real.history import History

LABELS = ("negative", "neutral", "positive")

QUESTIONS = {
    "dispositions": """
        SELECT disposition || coalesce(nullif(' ' || reason, ' '), '') || if(derived, ' (derived)', ''), count(*)
        FROM events GROUP BY ALL ORDER BY 1""",
    "mentions": """
        SELECT disposition || coalesce(nullif(' ' || reason, ' '), ''), count(*)
        FROM mentions GROUP BY ALL ORDER BY 1""",
    "messages": "SELECT campaign, count(*) FROM messages GROUP BY ALL ORDER BY 1",
    "decisions": "SELECT campaign || ' ' || reason, count(*) FROM decisions WHERE final GROUP BY ALL ORDER BY 1",
    "receipts": "SELECT state || ' ' || code, count(*) FROM receipts GROUP BY ALL ORDER BY 1",
    "failures": "SELECT stage || ' ' || reason, count(*) FROM failures GROUP BY ALL ORDER BY 1",
    "segment_moves": "SELECT cause, count(*) FROM segments GROUP BY ALL ORDER BY 1",
    "segment_moves_to": "SELECT new, count(*) FROM segments GROUP BY ALL ORDER BY 1",
}
"""Name of a figure and the two columns that it is made of."""


def figures_of(config: Config, history: History) -> dict[str, Any]:
    """All figures that the tables and the folder give."""
    tables = connect(config.folder("tables"))
    ((people,),) = tables.sql("SELECT count(DISTINCT person) FROM events WHERE person <> ''").fetchall()
    records = {"orders": len(history.orders), "posts": len(history.posts), "links": len(history.links)}
    counted = {name: dict(tables.sql(question).fetchall()) for name, question in QUESTIONS.items()}
    return {
        "records": {**records, "all": sum(records.values())},
        "people": people,
        **counted,
        "sentiment": sentiment(history, opinions(config)),
        "megabytes": {name: round(size(config.folder(name)) / 1e6, 1) for name in ("journal", "person", "tables")},
    }


def opinions(config: Config) -> dict[tuple[int, str], str]:
    """What the job read in a post, by the post's row and the brand."""
    found = connect(config.folder("tables")).sql("""
        SELECT m.url, c.brand, c.sentiment FROM classifications c JOIN mentions m ON m.id = c.mention""")
    return {(int(url.rpartition("/")[2]), brand): sentiment for url, brand, sentiment in found.fetchall()}


def sentiment(history: History, read: dict[tuple[int, str], str]) -> dict[str, dict[str, float]]:
    """By brand: how many posts people labelled, how many of these the job read, and macro-F1 and accuracy on those."""
    found = {}
    for brand in sorted({post.brand for post in history.posts}):
        posts = [post for post in history.posts if post.brand == brand]
        pairs = [(post.label, read[post.row, brand]) for post in posts if (post.row, brand) in read]
        right = sum(label == said for label, said in pairs)
        found[brand] = {
            "posts": len(posts),
            "read": len(pairs),
            "macro_f1": round(macro_f1(pairs), 3),
            "accuracy": round(right / max(1, len(pairs)), 3),
            **{f"said_{label}": sum(said == label for _, said in pairs) for label in LABELS},
        }
    return found


def macro_f1(pairs: Iterable[tuple[str, str]]) -> float:
    """The mean over the labels of F1; each pair is (label, what was read)."""
    counts = Counter(pairs)
    scores = []
    for label in LABELS:
        labelled = sum(count for (true, _), count in counts.items() if true == label)
        said = sum(count for (_, read), count in counts.items() if read == label)
        scores.append(2 * counts[label, label] / max(1, labelled + said))
    return sum(scores) / len(scores)


def size(folder: Path) -> int:
    """Bytes of all files under a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
