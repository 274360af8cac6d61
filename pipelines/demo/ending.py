"""The end of the demo: both ledgers, everybody's planted story against what the sink got, and where to look on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipelines.check import Report, check_data
from pipelines.config import Config
from pipelines.demo.play import Place
from pipelines.demo.scene import Planted
from pipelines.demo.truth import Comparison, Register, compare, observe
from pipelines.figures import Figures
from pipelines.settled import Lines
from schemas.records import MINUTE
from schemas.workspace import Tenant

MARGIN = MINUTE
"""How long (journal time) after its due time a story counts as over."""

SHOWN = 20

QUERY = "SELECT campaign, reason, count(*) AS people FROM decisions WHERE final GROUP BY ALL ORDER BY ALL"


class _Recorded(msgspec.Struct):
    to: str
    campaign: str


def conclude(config: Config, tenant: Tenant, figures: Figures, place: Place) -> tuple[str, bool]:
    """The closing words, and whether everything adds up."""
    report = check_data(config)
    comparison = compare_people(config, tenant, figures.last, place)
    problems = [*report.problems, *_posted(report, place), *comparison.differences]
    words = [
        "",
        *_summary(figures),
        *_ledgers(report),
        *_people(comparison),
        *problems[:SHOWN],
        *([f"… and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []),
        "",
        f"tables    {config.folder('tables')}",
        f"messages  {recorder_file(config)}",
        f"ask       {command(config)}",
        "",
        "everything adds up" if not problems else f"{len(problems)} things do not add up",
    ]
    return "\n".join(words), not problems


def command(config: Config) -> str:
    """What to type for a first question to the tables, in DuckDB's SQL."""
    folder, python = config.folder("tables"), shown(Path(sys.executable))
    return f"{python} -c \"from pipelines.views import connect; connect('{folder}').sql('{QUERY}').show()\""


def shown(path: Path) -> Path:
    """A path as short as it can be typed from here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def compare_people(config: Config, tenant: Tenant, last: int, place: Place) -> Comparison:
    """Every planted person against the sink's own file and the decisions in the tables; `last` is the journal's end."""
    people = list(_people_of(place, last))
    register = Register(tenant.name, config.secret(), (planted for planted, _ in people))
    outcomes, strangers = observe(register, delivered(recorder_file(config)), _refused(config))
    found = compare(people, tenant.campaigns, outcomes)
    return Comparison(found.complete, found.going_on, [*found.differences, *strangers])


def _people_of(place: Place, last: int) -> Iterator[tuple[Planted, bool]]:
    """Everybody who began, and whether the story is over: all of it was posted, and its time has passed."""
    for planted, last_call in place.world.planted(place.until + 1):
        due = max(planted.due, last_call) + place.late.get(planted.person.number, 0) + MARGIN
        yield planted, last_call <= place.until and due <= last


def recorder_file(config: Config) -> Path:
    """Where the recorder keeps what it accepted."""
    return config.data / "sent" / "recorder.jsonl"


def delivered(file: Path) -> Iterator[tuple[str, str]]:
    """Address and campaign of each message that the sink accepted."""
    if file.exists():
        with file.open("rb") as lines:
            for line in lines:
                message = msgspec.json.decode(line, type=_Recorded)
                yield message.to, message.campaign


def _refused(config: Config) -> Iterator[tuple[str, str, str]]:
    table = Lines(config).of("decisions", "person", "campaign", "reason", "final")
    for row in table.to_pylist():
        if row["final"] and row["reason"] != "SENT":
            yield row["person"], row["campaign"], row["reason"]


def _posted(report: Report, place: Place) -> list[str]:
    """The world's own count against the door's, where no answer got lost."""
    counted = next(line.expected for line in report.lines if line.name == "records from outside")
    off = not place.again and counted != place.records
    return [
        *place.surprises,
        *([f"the world posted {place.records} records, the door counts {counted}"] if off else []),
    ]


def _summary(figures: Figures) -> list[str]:
    sent = ", ".join(f"{number} {name}" for name, number in sorted(figures.sent.items()))
    return [
        f"events    {figures.external:,} in, {sum(figures.filtered.values())} filtered, "
        f"{sum(figures.failures.values())} failed; {len(figures.people):,} people known",
        f"sent      {sum(figures.sent.values()):,}: {sent or 'nothing'}",
        f"not sent  {sum(figures.refused.values()):,}: "
        + (", ".join(f"{number} {reason} {name}" for (name, reason), number in sorted(figures.refused.items())) or "-"),
    ]


def _ledgers(report: Report) -> list[str]:
    good = sum(1 for line in report.lines if not line.off)
    underway = sum(line.underway for line in report.lines)
    return [f"ledgers   {good} of {len(report.lines)} lines add up, {underway} records under way"]


def _people(found: Comparison) -> list[str]:
    whole = found.complete + found.going_on
    return [
        f"people    {whole:,} with a planted story: {found.complete:,} over and as planted, {found.going_on:,} go on"
    ]
