"""Docs against code: `python -m tests.docs` checks, `python -m tests.docs --write` writes docs/methods.md anew.

Checked: every file and heading that README and docs link to or name is there; every `wordloom` command and `make`
target they mention exists; docs/methods.md is what the methods' own pages say; README is short.
"""

import re
import subprocess
import sys
from pathlib import Path

from pipelines import registry

HOME = Path(__file__).parent.parent
README_LINES = 150


def pages() -> list[Path]:
    return [HOME / "README.md", *sorted((HOME / "docs").glob("*.md"))]


def methods_page() -> str:
    """Every method with its idea, source, inputs and knobs, from the code."""
    lines = ["# Methods", "", "Written by `python -m tests.docs --write` from the methods' own pages.", ""]
    for verb, noun in registry.VERBS.items():
        lines += [f"## {verb} (makes {noun.noun})", ""]
        for name in registry.methods(verb):
            method = registry.load(verb, name)
            page = sys.modules[method.module].__doc__ or ""
            source = re.search(r"^source +(.+?)(?=^\w+ +\S|\Z)", page, re.MULTILINE | re.DOTALL)
            lines += [f"### {name}", "", page.strip().splitlines()[0], ""]
            if source:
                lines += [f"Source: {' '.join(source[1].split())}", ""]
            inputs = [f"`{a}`{' (a list)' if i.many else ''}{' (may be left out)' if i.optional else ''}" for a, i in method.inputs.items()]
            lines += [f"Reads: {', '.join(inputs) or 'nothing but its source'}", ""]
            lines += ["| knob | default | takes |", "| --- | --- | --- |"]
            for knob, schema in method.params.model_json_schema().get("properties", {}).items():
                lines.append(f"| `{knob}` | `{schema.get('default')}` | {takes(schema)} |")
            lines.append("")
    return "\n".join(lines)


def takes(schema: dict) -> str:
    """A knob's type and range in a few words."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(takes(part) for part in schema["anyOf"])
    kind = {"integer": "whole number", "string": "text", "boolean": "true or false", "null": "nothing"}.get(
        schema.get("type", ""), schema.get("type", "")
    )
    if schema.get("type") == "array":
        kind = f"list of {takes(schema['items'])}" if "items" in schema else "list"
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    return ", ".join([kind, *(f"{word} {schema[key]}" for key, word in words.items() if key in schema)])


def faults() -> list[str]:
    found = []
    make_targets = set(re.findall(r"^([a-z-]+):", (HOME / "Makefile").read_text(), re.MULTILINE))
    usage = subprocess.run([sys.executable, "-m", "flows", "--help"], cwd=HOME, capture_output=True, text=True, check=True).stdout
    commands = set(re.findall(r"^\W*([a-z-]+) ", usage, re.MULTILINE))
    for page in pages():
        text, name = page.read_text(), page.relative_to(HOME)
        for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text):
            there = page.parent / target if target else page
            if not there.exists() or (heading and heading not in headings(there)):
                found.append(f"{name}: the link to {target}{heading and '#'}{heading} leads nowhere")
        for path in re.findall(r"`((?:pipelines|flows|tasks|tests|benchmarks|experiments|docs)/[\w./-]+)`", text):
            if not (HOME / path).exists() and "NAME" not in path and "METHOD" not in path:
                found.append(f"{name}: {path} does not exist")
        for target in re.findall(r"\bmake ([a-z-]+)", "\n".join(code(text))):
            if target not in make_targets:
                found.append(f"{name}: there is no `make {target}`")
        for command in re.findall(r"\bwordloom ([a-z][a-z-]*)", "\n".join(code(text))):
            if command not in commands:
                found.append(f"{name}: there is no `wordloom {command}`")
    if len((HOME / "README.md").read_text().splitlines()) > README_LINES:
        found.append(f"README.md has more than {README_LINES} lines")
    if (HOME / "docs/methods.md").read_text() != methods_page():
        found.append("docs/methods.md is not what the code says. Run: python -m tests.docs --write")
    return found


def headings(page: Path) -> set[str]:
    """What a link into a page may name, as GitHub makes it of the page's headings."""
    lines = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line.lower()).strip().replace(" ", "-") for line in lines}


def code(text: str) -> list[str]:
    """What stands in backticks or in a fenced block."""
    return re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)


if __name__ == "__main__":
    if "--write" in sys.argv:
        (HOME / "docs/methods.md").write_text(methods_page())
    if wrong := faults():
        sys.exit("\n".join(wrong))
    print(f"{len(pages())} pages agree with the code")
