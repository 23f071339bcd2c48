"""The words the roles are given: one Markdown template per role and message; `render` is the only reader."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound

    class Templates(BaseLoader):
        def get_source(self, environment: Environment, template: str) -> tuple[str, None, Any]:
            path = resources.files(__package__ or __name__) / f"{template}.md"
            if not path.is_file():
                raise TemplateNotFound(template)
            return path.read_text(encoding="utf-8"), None, lambda: True

    environment = Environment(  # Markdown for a model, not HTML for a browser: nothing to escape
        loader=Templates(), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.filters["untrusted"] = untrusted
    return environment


def render(name: str, /, **values: Any) -> str:
    """The template `prompts/<name>.md` filled in. A value the template needs and was not given raises
    jinja2.UndefinedError: a prompt with a hole is a bug."""
    return _environment().get_template(name).render(**values).strip() + "\n"


def render_text(text: str, /, **values: Any) -> str:
    """A template that is not of ours, filled in. It may include ours; the rules about data are put at its end
    where it does not include them. Raises: jinja2.TemplateError."""
    whole = text if '"rules"' in text else f'{text.rstrip()}\n\n## Rules\n\n{{% include "rules" %}}\n'
    return _environment().from_string(whole).render(**values).strip() + "\n"


def untrusted(text: str, source: str) -> str:
    """Mark text that somebody else wrote (an issue, a file, a tool's output) as data.

    The closing mark cannot be forged from inside: any `</data` in the text is broken up.
    """
    body = text.replace("</data", "<\\/data")
    return f'<data source="{source}">\n{body}\n</data>'


def unmarked(text: str) -> str:
    """What `untrusted` was given, back."""
    if text.startswith("<data ") and text.endswith("\n</data>"):
        return text.partition("\n")[2][: -len("\n</data>")].replace("<\\/data", "</data")
    return text
