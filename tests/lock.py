"""The environment against requirements.lock: `python -m tests.lock`. Reads what is installed; asks no network.

Checked: the lock has each requirement of pyproject.toml, at a version that it allows; each package of the
lock is installed at its version. Which of them have known weaknesses only a service can say: docs/security.md.
"""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HOME = Path(__file__).parent.parent


def locked(text: str) -> dict[str, str]:
    """Package -> the version that the lock names."""
    lines = [re.split(r"[#;]", line)[0].strip() for line in text.splitlines()]
    pairs = [line.split("==") for line in lines if line]
    return {canonicalize_name(name.partition("[")[0]): version for name, version in pairs}


def faults(project: str, lock: str, installed: dict[str, str]) -> list[str]:
    """What does not agree, a line each.

    Args:
        project: pyproject.toml.
        lock: requirements.lock.
        installed: package -> version.
    """
    there, said = locked(lock), tomllib.loads(project)["project"]
    found = []
    extras = said["optional-dependencies"]
    asked = [Requirement(text) for text in [*said["dependencies"], *(text for texts in extras.values() for text in texts)]]
    for wanted in asked:
        if wanted.name == said.get("name"):  # an extra that takes in another one
            continue
        version = there.get(canonicalize_name(wanted.name))
        if version is None or version not in wanted.specifier:
            found.append(f"requirements.lock has {wanted.name} {version or 'not at all'}; pyproject.toml asks for {wanted}. Run: make lock")
    for name, version in there.items():
        now = installed.get(name, "nothing")
        if now.partition("+")[0] != version:  # torch 2.13.0+cpu is torch 2.13.0
            found.append(f"{name}: installed is {now}, requirements.lock says {version}. Run: pip install -r requirements.lock")
    return found


def installed() -> dict[str, str]:
    return {canonicalize_name(it.metadata["Name"]): it.version for it in metadata.distributions()}


if __name__ == "__main__":
    lock = (HOME / "requirements.lock").read_text()
    if wrong := faults((HOME / "pyproject.toml").read_text(), lock, installed()):
        sys.exit("\n".join(wrong))
    print(f"{len(locked(lock))} packages are installed as requirements.lock says")
