"""HTML pages: from a template beside this file to one file that opens without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def render(template: str, **values: Any) -> str:
    """Fills a template in; text in values is escaped, and a value that is missing is an error.

    Args:
        template: Its file's name, such as "report.html.j2".
        **values: What it names.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfkit.pipeline", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def write_page(path: Path, text: str) -> Path:
    """Writes a page in one step: it is the old one or the new one, whatever happens."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
    return path
