"""What the documents say can be followed: links, commands and snippets are those of the code."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from stepgrid.cli import cli

PROJECT = Path(__file__).parents[2]
DOCUMENTS = [
    PROJECT / "README.md",
    PROJECT / "CHANGELOG.md",
    *sorted((PROJECT / "docs").rglob("*.md")),
    *sorted((PROJECT / "sdk").rglob("*.md")),
]
#: The longest line of the README.
README_COLUMNS = 120


def name_of(document: Path) -> str:
    return str(document.relative_to(PROJECT))


def blocks(document: Path, language: str) -> list[str]:
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(document: Path) -> Iterator[list[str]]:
    """The words of each `stepgrid ...` in the shell blocks."""
    for block in blocks(document, ""):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"\s[;|]\s|\s&&\s|\s#", line):
                if part.split()[:1] == ["stepgrid"]:
                    yield shlex.split(re.sub(r"[\[\]]", "", part))[1:]


def unknown_words(words: list[str]) -> list[str]:
    """Commands and options that `stepgrid` does not have."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.commands.get(words[0])
        if found is None:
            return words[:1]
        command, words = found, words[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    return [word for word in words if word.startswith("-") and word not in known | {"-"}]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    """Each link into the project names a file or folder of it."""
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
    inside = [link for link in links if not link.startswith("http")]
    assert [link for link in inside if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_are_there(document: Path) -> None:
    """Each command in a shell block exists, with the options that it is shown with."""
    assert [found for words in commands(document) if (found := unknown_words(words))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_snippets_are_python(document: Path) -> None:
    """Each Python block can be parsed."""
    for block in blocks(document, "python"):
        ast.parse(block)


def test_decisions_are_listed_in_order() -> None:
    """The architecture has one line for each decision: its number, its file and its title."""
    files = sorted((PROJECT / "docs" / "decisions").glob("*.md"))
    titles = [file.read_text(encoding="utf-8").splitlines()[0] for file in files]
    expected = [
        f"| [{number}](decisions/{file.name}) | {title} |"
        for file, line in zip(files, titles, strict=True)
        for number, title in [line.removeprefix("# ").split(" ", 1)]
    ]
    text = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("| [0")] == expected


def test_the_readme_fits_on_a_screen() -> None:
    """No line of it is wider than the code is."""
    lines = (PROJECT / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > README_COLUMNS] == []
