"""Writes docs/settings.md's table and .env.example: `python -m settings.pages`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from settings.aliases import ALIASES, Alias
from settings.environment import Settings
from settings.names import variable

PAGE, EXAMPLE = Path("docs/settings.md"), Path(".env.example")
BEGIN, END = "<!-- written by `make generate` -->\n", "<!-- end of what is written -->\n"
WIDTH = 98
OLDER = """\
Earlier back ends had other names for some settings. They are used where ours is not set, and
`ballast up` and `ballast bootstrap` print which were used:
"""
HEAD = """\
# Every setting with its default, as docs/settings.md has it. Written by `make generate`.
# Ballast reads its environment and not this file: copy it to .env, change what you need there, and
#
#   set -a; . ./.env; set +a; ballast up
"""
_LINK = re.compile(r"\[([^]]+)\]\(([^)]+)\)")


# What is embedded where it is left out.
OUTSIDE = ("REDIS_URL", "CLICKHOUSE_URL", "MLFLOW_TRACKING_URI")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as the documents show it."""

    variable: str
    default: str | None
    meaning: str
    read_by: str

    @property
    def row(self) -> str:
        absent = "embedded" if self.variable in OUTSIDE else "none"
        default = absent if self.default is None else f"`{self.default}`"
        return f"| `{self.variable}` | {default} | {self.meaning} | {self.read_by} |"

    @property
    def example(self) -> str:
        """Give it as a shell reads it, switched off, below what it means."""
        meaning = _LINK.sub(r"\1: docs/\2", f"{self.meaning} Read by: {self.read_by}.")
        comment = [f"# {line}" for line in wrap(meaning, WIDTH, break_on_hyphens=False)]
        return "\n".join([*comment, f"#{self.variable}={self.default or ''}"])


def settings() -> Iterator[Setting]:
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        if field.description is None or not isinstance(extra, dict):
            raise TypeError(f"{name} is not declared with `setting`")
        default = None if field.default is None else str(field.default)
        yield Setting(variable(name), default, field.description, str(extra["read_by"]))


def page(content: str) -> str:
    """Give the page with its table written anew; what stands around it is kept."""
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} needs a line {BEGIN.strip()} and a line {END.strip()}")
    heads = ["| variable | default | what it is | who reads it |", "|---|---|---|---|"]
    rows = "\n".join([*heads, *(each.row for each in settings())])
    return f"{before}{begin}{rows}\n\n{older_names()}\n{end}{after}"


def older_names() -> str:
    return "\n".join([OLDER, *map(_older, ALIASES)])


def _older(alias: Alias) -> str:
    names = " and ".join(f"`{name}`" for name in alias.older)
    return f"- {names}: `{alias.ours}`. {alias.note}".strip()


def example() -> str:
    return "\n".join([HEAD, *(f"{each.example}\n" for each in settings())])


def main() -> None:
    PAGE.write_text(page(PAGE.read_text()))
    EXAMPLE.write_text(example())


if __name__ == "__main__":
    main()
