"""What the demo shows at its end where there is no terminal: one message of each campaign."""

from __future__ import annotations

from intents import intent

from pipelines.demo.demo import examples
from pipelines.figures import Figures


def test_one_rendered_message_of_each_campaign_is_shown() -> None:
    figures = Figures()
    figures.take([intent("ana"), intent("ben", decided_at=intent().decided_at + 1), intent("eve", campaign="cart")])
    shown = examples(figures)
    assert "welcome  ben@people.example\nHello\nWelcome, ben" in shown
    assert "cart  eve@people.example\nHello\nWelcome, eve" in shown
    assert "ana" not in shown
