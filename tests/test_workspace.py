"""The strict loader: what it takes, and that every mistake is named with its file, its line and what to do."""

from __future__ import annotations

import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from pipelines import templates
from pipelines.config import SAMPLE
from pipelines.workspace import WorkspaceError, lint, load
from schemas.fields import amount, duration, share
from schemas.records import DAY, HOUR, MINUTE
from schemas.strict_yaml import MAX_BYTES, parse, plain
from schemas.triggers import TRIGGERS
from schemas.workspace import MailServer, Sink, Workspace
from transforms.logic import render


def found(text: str) -> list[str]:
    """The problems in a document, as one sees them."""
    return [str(problem) for problem in parse(text, "f.yaml")[1]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("country: NO", {"country": "NO"}),
        ("at: 22:30", {"at": "22:30"}),
        ("a: 017", {"a": "017"}),
        ("a: 0o17", {"a": "0o17"}),
        ("a: 0x1F", {"a": "0x1F"}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: 1e3", {"a": "1e3"}),
        ("a: .inf", {"a": ".inf"}),
        ("a: 2026-11-24", {"a": "2026-11-24"}),
        ("a: yes", {"a": "yes"}),
        ("a: true", {"a": True}),
        ("a: 'true'", {"a": "true"}),
        ("a: -12", {"a": -12}),
        ("a: 4.50", {"a": 4.5}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ("no: 1\n1: 2", {"no": 1, "1": 2}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
        ("", None),
    ],
)
def test_words_mean_what_stands_there(text: str, value: object) -> None:
    node, problems = parse(text, "f.yaml")
    assert (plain(node), problems) == (value, [])


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: 2\na: 3", 3, "each key once, got 'a' again (see line 1)"),
        ("a: 1\nb: &x 2", 2, "got the anchor &x"),
        ("a: 1\nb: *x", 2, "got the alias *x"),
        ("a: {b: 1}\n<<: {c: 1}", 2, "got the merge key <<"),
        ("a: !!python/object/apply:os.system [ls]", 1, "got the tag tag:yaml.org,2002:python/object/apply:os.system"),
        ("a: !!str 1", 1, "got the tag"),
        ("a: !own 1", 1, "got the tag !own"),
        ("%YAML 1.1\n---\na: 1", 1, "got a % directive"),
        ("a: 1\n---\nb: 2", 2, "expected one document"),
        ("a: 1\n? [b]\n: 2", 2, "expected a word as key"),
        ("a: 1\n\tb: 2", 2, "expected YAML"),
        ("a: 1\nb: c: d", 2, "mapping values are not allowed here"),
        ("a: 1\nb: [1, 2", 2, "expected YAML"),
        ("a: 1\nb: \x07", 2, "expected printable text, got '\\x07'"),
        ("a: " + "[" * 5_000, 1, "at most 24 levels"),
        ("a: 1\n" + "b: " + "{c: " * 5_000, 2, "at most 24 levels"),
        ("[" + "1," * 25_000 + "1]", 1, "at most 20000 values"),
        ("a: " + "x" * MAX_BYTES, 1, f"at most {MAX_BYTES} bytes"),
    ],
)
def test_what_yaml_could_hide_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    problems = found(text)
    assert any(problem.startswith(f"f.yaml:{line}: ") and says in problem for problem in problems), problems


def test_a_bomb_of_aliases_does_not_go_off() -> None:
    names = "abcdefghi"
    lines = [f"{name}: &{name} [*{before}, *{before}]" for before, name in pairwise(names)]
    bomb = "\n".join(["a: &a [x, x]", *lines])
    problems = found(bomb)
    assert "f.yaml:9: expected a value, got the alias *h; write the value out" in problems


@pytest.mark.parametrize(
    ("text", "length"), [("30s", 30_000_000), ("30m", 30 * MINUTE), ("4h", 4 * HOUR), ("7d", 7 * DAY), ("0s", 0)]
)
def test_durations(text: str, length: int) -> None:
    assert duration(text) == length


@pytest.mark.parametrize("value", ["4", 4, "4 h", "-4h", "4h30m", "1.5h", "04h", "4H", "99999999d", None, True, ""])
def test_durations_are_not_guessed(value: object) -> None:
    with pytest.raises(ValueError, match="such as 30m"):
        duration(value)


def test_shares_and_amounts() -> None:
    assert [share("0%"), share("10%"), share("2.5%"), share("100%")] == [0, 1000, 250, 10_000]
    assert [amount(50), amount(49.9)] == [5000, 4990]
    for wrong in ("101%", "10", 10, "1.234%", "-1%", None):
        with pytest.raises(ValueError, match="a share"):
            share(wrong)


# --- a whole workspace ------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A copy of the sample workspace that a test may spoil."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "shop"))


def spoil(shop: Path, file: str, old: str, new: str) -> list[str]:
    """What the loader says after one edit."""
    path = shop / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    return complaints(shop)


def complaints(shop: Path) -> list[str]:
    with pytest.raises(WorkspaceError) as caught:
        load(shop)
    return [str(problem) for problem in caught.value.problems]


def test_the_sample_loads_and_needs_no_advice() -> None:
    workspace = load(SAMPLE)
    tenant = workspace.tenants["wanderlodge"]
    assert {campaign.trigger for campaign in tenant.campaigns} == set(TRIGGERS)
    assert {key.trust for key in tenant.keys} == {"server", "browser"}
    assert tenant.policy.languages == ("en", "pl")
    assert [(cap.channel, cap.count, cap.window) for cap in tenant.policy.caps] == [
        ("email", 1, 16 * HOUR), ("*", 2, DAY), ("*", 5, 7 * DAY)]  # fmt: skip
    assert all(set(campaign.content["email"]) == {"en", "pl"} for campaign in tenant.campaigns)
    assert lint(workspace) == []


def test_a_category_is_read_in_lower_case_as_consents_are(shop: Path) -> None:
    file = shop / "campaigns" / "welcome.yaml"
    file.write_text(file.read_text("utf-8") + "category: Newsletter\n", "utf-8")
    assert {"newsletter"} < {campaign.category for campaign in load(shop).tenants["wanderlodge"].campaigns}


def test_a_campaign_gets_what_its_trigger_brings() -> None:
    campaigns = {campaign.trigger: campaign for campaign in load(SAMPLE).tenants["wanderlodge"].campaigns}
    cart = campaigns["abandoned_cart"]
    assert (cart.klass, cart.category, cart.after, cart.reentry) == ("marketing", "marketing", (4 * HOUR,), 7 * DAY)
    assert campaigns["welcome"].reentry is None
    assert not campaigns["welcome"].obeys_cap
    assert campaigns["welcome"].counts_to_cap
    assert campaigns["welcome"].content["email"]["pl"].late
    assert campaigns["order_confirmation"].klass == "transactional"


def test_the_version_follows_the_content_and_nothing_else(shop: Path) -> None:
    before = load(shop).version
    campaign = shop / "campaigns" / "welcome.yaml"
    campaign.write_text("# a remark\n" + campaign.read_text("utf-8"), "utf-8")
    assert load(shop).version == before
    campaign.write_text(campaign.read_text("utf-8").replace("Good to have", "Lovely to have"), "utf-8")
    assert load(shop).version != before


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "says"),
    [
        (
            "tenant.yaml",
            "care_hold: 72h",
            "carehold: 72h",
            5,
            "expected fields of tenant.yaml, got carehold (did you mean care_hold?)",
        ),
        (
            "tenant.yaml",
            "care_hold: 72h",
            "care_hold: 72",
            5,
            "care_hold: expected a duration such as 30m, 4h or 7d, got 72",
        ),
        (
            "tenant.yaml",
            "Europe/Warsaw",
            "Europe/Warszawa",
            4,
            "timezone: expected a time zone such as Europe/Warsaw (did you mean Europe/Warsaw?), got 'Europe",
        ),
        (
            "tenant.yaml",
            "name: wanderlodge",
            "nme: wanderlodge",
            2,
            "expected name in tenant.yaml, got none; add it (nme on line 2 comes close)",
        ),
        ("tenant.yaml", "within: 16h", "within: 60d", 8, "within: expected a duration from 1m to 30d, got '60d'"),
        (
            "tenant.yaml",
            "[30, 90, 180, 365]",
            "[30, 90, 90, 365]",
            14,
            "recency: expected four rising numbers, got [30, 90, 90, 365]",
        ),
        (
            "keys.yaml",
            "trust: server",
            "trust: sever",
            3,
            "trust: expected one of browser, server (did you mean server?), got 'sever'",
        ),
        (
            "keys.yaml",
            "sample-browser-key-not-secret",
            "sample-server-key-not-secret",
            1,
            "keys: expected each name and key once",
        ),
        ("brands.yaml", "chirp:kolibri", "Chirp:Kolibri", 6, "handles: expected network:name in small letters"),
        (
            "channels.yaml",
            "sink: recorder",
            "sink: recoder",
            1,
            "sink: expected one of recorder, smtp, webhook (did you mean recorder?), got 'recoder'",
        ),
        (
            "channels.yaml",
            "sink: recorder",
            "sink: webhook, url: 'https://example.org', secret: whsec_abc",
            1,
            "secret: expected a reference secret://NAME",
        ),
        (
            "channels.yaml",
            "sink: recorder",
            "sink: smtp, host: mail.example, from: not an address",
            1,
            "from: expected a name and an address such as Fernweh <hello@fernweh.example>, got 'not an address'",
        ),
        (
            "channels.yaml",
            "sink: recorder",
            "sink: smtp, host: mail.example, from: a@b.example, user: shop, password: hunter2",
            1,
            "password: expected a reference secret://NAME",
        ),
        (
            "channels.yaml",
            "sink: recorder",
            "sink: smtp, host: mail.example, from: a@b.example, tls: none, user: shop, password: secret://mail",
            1,
            "user: expected encryption where a password is sent",
        ),
        (
            "channels.yaml",
            "sink: recorder",
            "sink: smtp, host: 'mail.example:25', from: a@b.example",
            1,
            "host: expected the name of a host such as smtp.example.org, got 'mail.example:25'",
        ),
        (
            "channels.yaml",
            "sink: recorder",
            "sink: smtp, host: mail.example, from: a@b.example, dkim: {domain: b.example, key: secret://dkim}",
            1,
            "expected selector in dkim, got none; add it",
        ),
        (
            "channels.yaml",
            "email: {sink: recorder",
            "sms: {sink: smtp",
            1,
            "sink: expected one of recorder, webhook, got 'smtp'",
        ),
        (
            "channels.yaml",
            "email:",
            "emial:",
            1,
            "expected a channel (email, sms, push, webhook), got emial (did you mean email?)",
        ),
        (
            "campaigns/abandoned-cart.yaml",
            "after: 4h",
            "after: [4h, 24h]",
            2,
            "after: expected at most 1 for abandoned_cart, got 2; keep the first",
        ),
        (
            "campaigns/abandoned-cart.yaml",
            "trigger: abandoned_cart",
            "trigger: abandoned_card",
            1,
            "trigger: expected one of",
        ),
        (
            "campaigns/abandoned-cart.yaml",
            "after: 4h",
            "class: transactional",
            2,
            "class: expected marketing for trigger abandoned_cart, got transactional",
        ),
        (
            "campaigns/welcome.yaml",
            "channels: [email]",
            "channels: [email]\nafter: 1h",
            3,
            "after: expected none, welcome acts at once",
        ),
        (
            "campaigns/welcome.yaml",
            "channels: [email]",
            "channels: [email]\ncontrol: 10",
            3,
            "control: expected a share from 0% to 100%, such as 10%, got 10",
        ),
        (
            "campaigns/welcome.yaml",
            '    pl: "Witaj',
            '    cs: "Witaj',
            6,
            "subject: expected a language of tenant.yaml (en, pl), got cs",
        ),
        (
            "campaigns/welcome.yaml",
            '    en: "Welcome',
            '    EN: "Welcome',
            5,
            "subject: expected en, which others fall back to; add it",
        ),
        ("campaigns/welcome.yaml", "  text:", "  txt:", 4, "expected text in email, got none; add it"),
        ("campaigns/thank-regulars.yaml", "Champion", "Champions", 2, "to: expected one of"),
        (
            "campaigns/welcome.yaml",
            "{{ first_name }}",
            "{{ first_nam }}",
            5,
            "subject: expected words of welcome, got first_nam (did you mean first_name?)",
        ),
        ("campaigns/welcome.yaml", "{{ first_name }}", "{{ first_name", 5, "subject: expected a template"),
        (
            "campaigns/welcome.yaml",
            "{{ first_name }}",
            "{{ 9**9**9 }}",
            5,
            "subject: expected a template that may go live: line 1: pow is not allowed",
        ),
        (
            "campaigns/welcome.yaml",
            "{{ first_name }}",
            "{{ ''.__class__.__mro__() }}",
            5,
            "subject: expected a template that may go live",
        ),
    ],
)
def test_a_mistake_is_named_where_it_stands(shop: Path, file: str, old: str, new: str, line: int, says: str) -> None:
    problems = spoil(shop, file, old, new)
    assert any(problem.startswith(f"{file}:{line}: {says}") for problem in problems), problems


def test_a_channel_without_a_sink_is_told_by_every_campaign_that_uses_it(shop: Path) -> None:
    problems = spoil(shop, "channels.yaml", "email:", "sms:")
    says = "channels: expected a channel of channels.yaml, got email; give it a sink there"
    assert len([problem for problem in problems if problem.endswith(says)]) == 5


def test_all_mistakes_are_told_together(shop: Path) -> None:
    spoil(shop, "tenant.yaml", "72h", "72")
    spoil(shop, "keys.yaml", "trust: server", "trust: root")
    problems = spoil(shop, "campaigns/welcome.yaml", "trigger: welcome", "trigger: welcom")
    assert {problem.partition(":")[0] for problem in problems} == {"tenant.yaml", "keys.yaml", "campaigns/welcome.yaml"}
    with pytest.raises(WorkspaceError, match=r"has 3 mistakes:\ncampaigns/welcome\.yaml:1: "):
        load(shop)


def test_a_missing_and_a_misspelt_file_are_told(shop: Path) -> None:
    (shop / "brands.yaml").rename(shop / "brand.yaml")
    problems = complaints(shop)
    assert any(problem.startswith("brand.yaml:1: ") and "did you mean brands.yaml?" in problem for problem in problems)
    assert any(problem.startswith("brands.yaml:1: expected a plain file") for problem in problems)


def test_bytes_that_are_no_text_are_told_with_their_line(shop: Path) -> None:
    (shop / "brands.yaml").write_bytes(b"brands:\n  - name: \xff\n")
    assert "brands.yaml:2: expected UTF-8, got byte 0xff; save it as UTF-8" in complaints(shop)


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside.yaml", "missing.yaml", "../shop/keys.yaml"])
def test_links_are_never_followed(shop: Path, target: str) -> None:
    (shop.parent / "outside.yaml").write_text("trigger: welcome\n")
    (shop / "campaigns" / "linked.yaml").symlink_to(target)
    assert any(problem.startswith("campaigns/linked.yaml:1: expected a") for problem in complaints(shop))


def test_a_linked_folder_is_not_entered(shop: Path, tmp_path: Path) -> None:
    shutil.move(shop / "campaigns", tmp_path / "elsewhere")
    (shop / "campaigns").symlink_to(tmp_path / "elsewhere")
    assert any(problem.startswith("campaigns:1: expected a folder inside") for problem in complaints(shop))


def test_several_tenants_share_a_folder_but_no_key(shop: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    for name in ("one", "two"):
        shutil.copytree(shop, both / name)
        tenant = both / name / "tenant.yaml"
        tenant.write_text(tenant.read_text("utf-8").replace("wanderlodge", name), "utf-8")
    assert any("expected a key of its own" in problem for problem in complaints(both))
    keys = both / "two" / "keys.yaml"
    keys.write_text(keys.read_text("utf-8").replace("sample-", "second-"), "utf-8")
    assert sorted(load(both).tenants) == ["one", "two"]


def test_advice_for_what_loads_but_is_hardly_meant(shop: Path) -> None:
    campaign = shop / "campaigns" / "order-confirmation.yaml"
    campaign.write_text(campaign.read_text("utf-8").replace("We have your order", "Use your coupon now"), "utf-8")
    welcome = shop / "campaigns" / "welcome.yaml"
    welcome.write_text(welcome.read_text("utf-8") + "live: false\n", "utf-8")
    advice = lint(load(shop))
    assert any("order-confirmation" in line and "'coupon'" in line for line in advice)
    assert any("welcome" in line and "nothing will be sent" in line for line in advice)


def test_the_examples_of_the_guide_load(shop: Path) -> None:
    guide = (SAMPLE.parents[2] / "docs" / "workspace.md").read_text("utf-8")
    examples = re.findall(r"```yaml\n# ([\w/.-]+)\n(.*?)```", guide, re.DOTALL)
    assert {name.partition("/")[0] for name, _ in examples} == {
        "tenant.yaml", "keys.yaml", "brands.yaml", "channels.yaml", "campaigns"}  # fmt: skip
    for file in (shop / "campaigns").iterdir():
        file.unlink()
    for name, text in examples:
        (shop / name).write_text(text, "utf-8")
    assert len(load(shop).tenants["my-shop"].campaigns) == 2


def test_the_guide_knows_every_trigger() -> None:
    guide = (SAMPLE.parents[2] / "docs" / "workspace.md").read_text("utf-8")
    for name, trigger in TRIGGERS.items():
        assert f"| `{name}` | {trigger.says}" in guide


def test_a_mail_may_have_html_in_which_values_are_escaped(shop: Path) -> None:
    file = shop / "campaigns" / "welcome.yaml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("email:\n", "email:\n  html: '<b>{{ first_name }}</b>'\n", 1), "utf-8")
    (campaign,) = (each for each in load(shop).tenants["wanderlodge"].campaigns if each.name == "welcome")
    assert campaign.content["email"]["en"].parts["html"] == "<b>{{ first_name }}</b>"
    written = render.body(campaign.content["email"]["en"], {"first_name": "<i>"})
    assert b"<b>&lt;i&gt;</b>" in written
    file.write_text(text.replace("email:\n", "email:\n  html: '{{ nobody }}'\n", 1), "utf-8")
    with pytest.raises(WorkspaceError, match="html: expected words of welcome, got nobody"):
        load(shop)


def test_links_lead_to_the_door_encrypted(shop: Path) -> None:
    file = shop / "tenant.yaml"
    text = file.read_text("utf-8")
    for wrong in ("http://shop.example", "https://a:b@shop.example", "https://shop.example/?x=1", "shop.example"):
        file.write_text(f"{text}\nlinks: {{base: '{wrong}'}}\n", "utf-8")
        with pytest.raises(WorkspaceError, match="base: expected an address such as https"):
            load(shop)
    for base in ("https://shop.example/door/", "http://127.0.0.1:8000"):
        file.write_text(f"{text}\nlinks: {{base: '{base}'}}\n", "utf-8")
        assert load(shop).tenants["wanderlodge"].policy.links == base.rstrip("/")


def test_mail_without_a_place_to_leave_is_advised_against() -> None:
    tenant = load(SAMPLE).tenants["wanderlodge"]
    mail = MailServer("smtp.example.org", 587, "starttls", "F", "f@example.org")
    mailing = replace(tenant, sinks={"email": Sink("smtp", mail=mail)})
    advice = "expected links with a base"
    assert any(advice in line for line in lint(Workspace({"wanderlodge": mailing}, "1")))
    reached = replace(mailing, policy=replace(tenant.policy, links="https://shop.example"))
    assert not any(advice in line for line in lint(Workspace({"wanderlodge": reached}, "1")))


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ order.idd }}", "expected a word that is there, got idd: known are id, order"),
        ("{% for i in order.items %}{{ i.nmae }}{% endfor %}", "got nmae: known are name, product"),
        ("{{ order.__class__.__mro__ }}", "is not allowed in templates"),
        ("{{ " + "(" * 300 + "1" + ")" * 300 + " }}", "less inside each other"),
        ("{{ " + "not " * 3000 + "order }}", "less inside each other"),
    ],
)
def test_a_template_that_says_less_than_it_seems_to_is_found_before_it_goes_live(template: str, words: str) -> None:
    (problem,) = templates.problems("order_confirmation", template)
    assert words in problem
