#!/usr/bin/env python3
"""Writes man pages into a directory, from what a program says of its own commands.

    scripts/man_pages.py .build/release/springg .build/man
"""

import json
import os
import pathlib
import subprocess
import sys
import textwrap
import time


def escaped(text: str) -> str:
    """Text in which nothing is taken for a request or an escape of troff."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in text.splitlines())


def flag(argument: dict) -> str:
    names = ", ".join(("--" if name["kind"] == "long" else "-") + name["name"] for name in argument.get("names", []))
    value = argument.get("valueName", "value")
    if argument["kind"] == "positional":
        return f"<{value}>"
    return names if argument["kind"] == "flag" else f"{names} <{value}>"


def discussion(text: str) -> str:
    """Paragraphs are filled; what is indented stays as it is."""
    parts = []
    for paragraph in textwrap.dedent(text).strip().split("\n\n"):
        lines = paragraph.splitlines()
        if any(line.startswith("  ") for line in lines):
            parts.append(".PP\n.nf\n" + escaped(paragraph) + "\n.fi")
        else:
            parts.append(".PP\n" + escaped(paragraph))
    # The heading before begins the first paragraph.
    return "\n".join(parts).removeprefix(".PP\n")


def date() -> str:
    """Of the sources, for builds that are to come out the same (SOURCE_DATE_EPOCH), else of today."""
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


EXIT_STATUS = """\
.SH EXIT STATUS
0 fine, 1 failure, 2 wrong usage, 6 damage or flaws in what was looked at."""


def page(command: dict, path: list[str]) -> str:
    name = "-".join(path)
    abstract = command.get("abstract", "").rstrip(".")
    lines = [f'.TH "{name.upper()}" "1" "{date()}" "Springg"', ".SH NAME", escaped(f"{name} - {abstract}"), ".SH SYNOPSIS"]
    shown = [argument for argument in command.get("arguments", []) if argument.get("shouldDisplay", True)]
    subcommands = [sub for sub in command.get("subcommands", []) if sub["commandName"] != "help"]
    words = " ".join(path) + (" <command>" if subcommands else "") + (" [options]" if shown else "")
    lines += [".B " + escaped(words)]
    if command.get("discussion"):
        lines += [".SH DESCRIPTION", discussion(command["discussion"])]
    if shown:
        lines += [".SH OPTIONS"]
        for argument in shown:
            lines += [".TP", ".B " + escaped(flag(argument)), escaped(argument.get("abstract", ""))]
    if subcommands:
        lines += [".SH COMMANDS"]
        for sub in subcommands:
            lines += [".TP", f".BR {escaped(name + '-' + sub['commandName'])} (1)", escaped(sub.get("abstract", ""))]
    lines += [EXIT_STATUS]
    if len(path) > 1:
        lines += [".SH SEE ALSO", f".BR {escaped('-'.join(path[:-1]))} (1)"]
    return "\n".join(lines) + "\n"


def write(command: dict, path: list[str], directory: pathlib.Path) -> None:
    (directory / f"{'-'.join(path)}.1").write_text(page(command, path))
    for sub in command.get("subcommands", []):
        if sub["commandName"] != "help":
            write(sub, path + [sub["commandName"]], directory)


def main() -> None:
    program, target = sys.argv[1], pathlib.Path(sys.argv[2])
    described = json.loads(subprocess.run([program, "--experimental-dump-help"], capture_output=True, check=True).stdout)
    target.mkdir(parents=True, exist_ok=True)
    write(described["command"], [described["command"]["commandName"]], target)


if __name__ == "__main__":
    main()
