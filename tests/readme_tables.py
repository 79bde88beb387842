"""The README's tables of options and commands, made from the parser's own.

`python tests/readme_tables.py` writes them anew between their marks.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from replicate_magic.cell.options import OPTIONS
from replicate_magic.notebook.command_line import COMMANDS
from replicate_magic.notebook.help import FILTER_HELP

README = Path(__file__).parents[1] / "README.md"
MARKED = "<!-- {0}, by tests/readme_tables.py -->\n\n{1}\n<!-- end -->\n"


def code(text):
    return f"`{text}`".replace("|", "\\|")


def usage(option):
    gap = "" if option.value.startswith("[") or not option.value else " "
    names = [f"-{option.short}"] if option.short else []
    return code(f"{', '.join([*names, f'--{option.name}'])}{gap}{option.value}")


def table(*rows):
    heads, *rest = [f"| {' | '.join(row)} |\n" for row in rows]
    return "".join([heads, "|---" * len(rows[0]) + "|\n", *rest])


def options():
    lines = [(usage(option), option.help.replace("|", "\\|")) for option in OPTIONS]
    return table(("option", "what it does"), *lines)


def commands():
    rows = []
    for command in COMMANDS:
        words = f"{command.name} {command.usage}".rstrip()
        takes = [usage(option) for option in command.options]
        takes += ["filters"] if command.filters else []
        rows.append((code(words), command.help.replace("|", "\\|"), ", ".join(takes)))
    return table(("`%replicate …`", "what it does", "takes"), *rows)


def filters():
    lines = [(code(f"{name}={told.value}"), told.help) for name, told in FILTER_HELP.items()]
    return table(("filter", "what it keeps"), *lines)


TABLES = {"options": options, "commands": commands, "filters": filters}


def marked(name):
    """A table as it stands in the README."""
    return MARKED.format(name, TABLES[name]())


def main():
    text = README.read_text("utf-8")
    for name in TABLES:
        place = MARKED.format(name, "\0").split("\0")
        pattern = f"{re.escape(place[0])}.*?{re.escape(place[1])}"
        text, times = re.subn(pattern, lambda _, n=name: marked(n), text, flags=re.DOTALL)
        if times != 1:
            sys.exit(f"The README has {times} places for the table of {name}.")
    README.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
