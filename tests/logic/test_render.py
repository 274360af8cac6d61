"""Words: what templates may do, what stops them, and the language they speak."""

from __future__ import annotations

import json
from time import process_time

import pytest

from schemas.records import Item
from schemas.workspace import Content
from transforms.logic.render import MOST, RenderFailed, UnknownWord, body, compiled, fill, language, tried
from transforms.logic.words import CartWords, money

CART = CartWords.of([Item("boots", "Boots", price=8990, quantity=2), Item("rope", price=5)])


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Hello {{ first_name or 'friend' }}", "Hello friend"),
        ("{% if first_name %}{{ first_name }}{% else %}you{% endif %}", "you"),
        ("{{ cart.items[0].name }} {{ cart.value }}", "Boots 179.85"),
        ("{% for item in cart.items %}{{ loop.index }}.{{ item.name|upper }} {% endfor %}", "1.BOOTS 2.ROPE "),
        ("{{ cart.items[7].name.first }}", ""),
        ("{{ nobody.knows.this }}", ""),
        ("{{ cart.items|length + 1 }}", "3"),
        ("{{ '<b>' }}", "<b>"),
    ],
)
def test_what_templates_can_say(source: str, text: str) -> None:
    assert fill(source, {"cart": CART}) == text


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 1000000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ '%1000000000d' % 1 }}",
        "{% for a in range(1000000) %}{% endfor %}",
        "{% for a in 'abc' %}{% endfor %}",
        "{% for a in x.y %}{% for b in x.y %}{% for c in x.y %}{% endfor %}{% endfor %}{% endfor %}",
        "{% set x = 'a' %}{{ x }}",
        "{% macro m() %}{{ m() }}{% endmacro %}",
        "{{ ''.join(cart.items) }}",
        "{{ cart.__class__ }}",
        "{{ 'x'|center(1000000000) }}",
        "{{ 1|round(1000000000, 'floor') }}",
        "{% include 'x' %}",
        "{{ lipsum() }}",
        "{{ 1 // 0 }}",
        "{{ first_name",
        "{{ first_name + 1 }}",
        "x" * (MOST + 1),
    ],
)
def test_what_templates_cannot_do_costs_nothing(source: str) -> None:
    begun = process_time()
    with pytest.raises(RenderFailed):
        if fill(source, {"cart": CART, "first_name": "Ana"}) == "":
            raise RenderFailed("an unsafe attribute is simply not there")
    assert process_time() - begun < 1


def test_output_is_limited() -> None:
    with pytest.raises(RenderFailed, match="at most"):
        fill("{% for item in items %}{{ item }}{% endfor %}", {"items": ["x" * 1000] * 100})


def test_a_template_is_compiled_once() -> None:
    assert compiled("Hello {{ first_name }}") is compiled("Hello {{ first_name }}")


def test_values_from_outside_are_not_executed_and_add_no_header() -> None:
    content = Content({"subject": "Hi {{ name }}", "html": "<p>{{ name }}</p>"})
    parts = json.loads(body(content, {"name": "{{ 7 + 7 }}\r\nBcc: x <script>"}))
    assert parts == {
        "subject": "Hi {{ 7 + 7 }} Bcc: x <script>",
        "html": "<p>{{ 7 + 7 }}\r\nBcc: x &lt;script&gt;</p>",
    }


def test_late_parts_replace_the_others() -> None:
    content = Content({"subject": "S", "text": "T"}, {"text": "late T"})
    assert json.loads(body(content, {}, late=True)) == {"subject": "S", "text": "late T"}
    assert json.loads(body(content, {})) == {"subject": "S", "text": "T"}


@pytest.mark.parametrize(("locale", "found"), [("pl-PL", "pl"), ("PL_pl", "pl"), ("de-AT", "en"), ("", "en")])
def test_languages(locale: str, found: str) -> None:
    assert language(locale, ("en", "pl")) == found


@pytest.mark.parametrize(("hundredths", "text"), [(0, "0.00"), (8990, "89.90"), (-5, "-0.05"), (123456, "1234.56")])
def test_money(hundredths: int, text: str) -> None:
    assert money(hundredths) == text


@pytest.mark.parametrize("source", ["{{ " + "(" * 300 + "1" + ")" * 300 + " }}", "{{ " + "not " * 3000 + "x }}"])
def test_a_template_that_is_too_deep_for_a_parser_is_refused_in_words(source: str) -> None:
    with pytest.raises(RenderFailed, match="less inside each other"):
        compiled(source)


@pytest.mark.parametrize("source", ["{{ cart.__class__ }}", "{{ cart.items.__len__ }}", "{{ x._y.z }}"])
def test_no_template_names_what_python_hides(source: str) -> None:
    with pytest.raises(RenderFailed, match=r"_y? is not allowed"):
        compiled(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ cart.valeu }}",
        "{% for i in cart.items %}{{ i.nmae }}{% endfor %}",
        "{{ cart['valeu'] }}",
        "{{ name.frist }}",
    ],
)
def test_a_trial_finds_an_attribute_that_is_not_there_and_a_message_only_leaves_it_out(source: str) -> None:
    with pytest.raises(UnknownWord, match=r"valeu|nmae|frist"):
        tried(source, {"cart": CART, "name": "Ana"})
    assert fill(source, {"cart": CART, "name": "Ana"}) == ""


@pytest.mark.parametrize("source", ["{{ nobody.knows }}", "{{ cart.items[7].name }}", "{{ cart.items[0].name }}"])
def test_a_trial_lets_pass_what_may_be_there_for_others(source: str) -> None:
    tried(source, {"cart": CART})
