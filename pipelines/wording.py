"""What templates may say: they must compile, stay within limits for hostile people, and keep to their class."""

from __future__ import annotations

from collections.abc import Iterable

from jinja2 import TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipelines.campaigns import Written
from schemas.strict_yaml import Problem

_environment = ImmutableSandboxedEnvironment()


def check_templates(templates: Iterable[Written]) -> list[Problem]:
    """The problems of all templates of a workspace, each where it stands."""
    problems = []
    for template in templates:
        try:
            _environment.parse(template.text)
        except TemplateSyntaxError as error:
            line = template.line + error.lineno - 1
            problems.append(Problem(template.file, line, f"{template.where}: expected a template, {error.message}"))
    return problems
