"""Writes the table of plugins into README.md, from the registry. `--check` only says whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path

import tfkit

_README = Path(__file__).parent.parent / "README.md"
_BEGIN, _END = "<!-- plugins: made by docs/make_tables.py -->", "<!-- end of plugins -->"


def plugin_table() -> str:
    """A Markdown table of the built-in plugins, a row each."""
    lines = ["| kind | name | what it does | parameters |", "|---|---|---|---|"]
    for row in tfkit.plugins():
        if row.distribution != "tfkit-keras" or row.error:
            continue
        lines.append(f"| {row.kind} | `{row.name}` | {row.summary} | {_parameters(row)} |")
    return "\n".join(lines)


def with_table(readme: str) -> str:
    """The README with the table of today between its two marks."""
    before, _, rest = readme.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{plugin_table()}\n{_END}{after}"


def _parameters(row: tfkit.registry.Plugin) -> str:
    shown = [each["name"] if each["required"] else f"{each['name']}={each['default']!r}" for each in row.parameters]
    return f"`{', '.join(shown)}`".replace("|", r"\|") if shown else ""


def main() -> int:
    """Writes or checks the README."""
    readme = _README.read_text(encoding="utf-8")
    made = with_table(readme)
    if made == readme:
        return 0
    if "--check" in sys.argv:
        print("README.md: the table of plugins is out of date; run make docs", file=sys.stderr)
        return 1
    _README.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
