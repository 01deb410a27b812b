"""A scratch DVC project of the real shape, whose stages take no time and need no torch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent

# `python stage.py VERB ROW`: a stage that takes no time and no torch. Its row of params.yaml says what it does:
# text goes into the output, sleep (seconds) and noise do not, fail is a fault that it ends with.
STAGE = """
import hashlib, json, os, sys, time
from pathlib import Path
import yaml_of_the_test
from deathsig import die_with_parent

die_with_parent()
verb, row = sys.argv[1:]
body = yaml_of_the_test.load(Path("dvc.yaml"))["stages"][f"{verb}-{row}"]
knobs = yaml_of_the_test.load(Path("params.yaml")).get(verb, {}).get(row, {})
with open("ran.txt", "a") as file:
    print("start", f"{verb}-{row}", os.getpid(), time.time(), file=file)
print(f"{verb}/{row}: works", flush=True)
time.sleep(knobs.get("sleep", 0))
read = [p.read_bytes() for dep in body["deps"] for p in sorted([Path(dep), *Path(dep).rglob("*")]) if p.is_file()]
digest = hashlib.sha256(b"".join(read) + str(knobs.get("text")).encode()).hexdigest()
out = Path(body["outs"][0])
if verb == "check":
    noun, _, name = row.partition("-")
    fails = yaml_of_the_test.load(Path("params.yaml")).get("closed") == row
    seen = {"expectation": "expect_column_values_to_be_unique", "column": "token", "success": not fails, "observed": None,
            "n_failed": int(fails), "share_failed": 0.5 * fails, "examples": [{"token": "the"}] * fails}
    report = Path("runs/checks") / noun / f"{name}.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps({"artifact": digest, "suite": "s", "success": not fails, "results": [seen]}))
    if fails:
        sys.exit(f"fault: vectors/{name}: token: expect_column_values_to_be_unique; 1 rows fail, first the")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"artifact": digest, "suite": "s"}))
elif "fail" in knobs:
    sys.exit(f"fault: {knobs['fail']}")
elif out.suffix:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("# Report " + digest)
    Path("report.html").write_text(digest)
else:
    out.mkdir(parents=True)
    (out / "made").write_text(digest)
with open("ran.txt", "a") as file:
    print("end", f"{verb}-{row}", time.time(), file=file)
"""

# stands for our packages in the worktree: `python -m pipelines dag` writes dvc.yaml from params.yaml
PIPELINES = """
import sys
from pathlib import Path
if sys.argv[1] == "report":
    Path("report.html").write_text("written again")
    sys.exit()
if "broken" in Path("params.yaml").read_text():
    print("fault: params.yaml has no place for 'broken'", file=sys.stderr)
    sys.exit(2)
text = Path("dag.txt").read_text()
Path("dvc.yaml").write_text(text)
"""

YAML = """
from ruamel.yaml import YAML

def load(path):
    return YAML(typ="safe").load(path.read_text())
"""

PARAMS: dict[str, Any] = {
    "run": {"seed": 1},
    "ingest": {"a": {"text": "one"}},
    "embed": {"g": {"text": "glove", "lr": 1e-05}, "h": {"text": "skip-gram: negative"}},
}


def _row(verb: str, row: str, deps: list[str], out: str, queue: str = "cpu") -> dict[str, Any]:
    return {
        "cmd": f"exec python stage.py {verb} {row}",
        "deps": [*deps, "stage.py"],
        **({"params": ["run", f"{verb}.{row}"]} if verb not in ("check", "report") else {}),
        "outs": [out],
        "meta": {"verb": verb, "row": row, "queue": queue, "retries": 0, "timeout_s": 86_400},
    }


def dag() -> dict[str, Any]:
    """A corpus, two independent rows of embed, their gates, a report of both."""
    stages = {
        "ingest-a": _row("ingest", "a", [], "data/1_corpus/a"),
        "check-corpus-a": _row("check", "corpus-a", ["data/1_corpus/a"], "data/checks/corpus/a.json"),
    }
    for row in "gh":
        stages[f"embed-{row}"] = _row("embed", row, ["data/1_corpus/a", "data/checks/corpus/a.json"], f"data/4_vectors/{row}")
        stages[f"check-vectors-{row}"] = _row("check", f"vectors-{row}", [f"data/4_vectors/{row}"], f"data/checks/vectors/{row}.json")
    tokens = [f"data/checks/vectors/{row}.json" for row in "gh"]
    return {"stages": {**stages, "report-all": _row("report", "all", tokens, "data/report.md")}}


class Project:
    """A scratch project in a folder of its own."""

    def __init__(self, root: Path):
        self.root = root

    def write(self, name: str, tree: dict[str, Any]) -> None:
        from tasks.dvc import dump

        (self.root / name).write_text(dump(tree))

    def set(self, verb: str, row: str, **knobs: Any) -> None:
        """Changes a row of params.yaml."""
        tree = self.params()
        tree[verb][row].update(knobs)
        self.write("params.yaml", tree)

    def params(self) -> dict[str, Any]:
        from tasks.dvc import load

        return load(self.root / "params.yaml")

    def dvc(self, *args: str) -> subprocess.CompletedProcess:
        from tasks import dvc

        return subprocess.run(dvc.command(*args), cwd=self.root, env=dvc.environment(), capture_output=True, text=True)

    def wordloom(self, *args: str, **env: str) -> subprocess.CompletedProcess:
        return subprocess.run(wordloom(*args), cwd=self.root, env={**os.environ, **env}, capture_output=True, text=True, timeout=300)

    def ran(self) -> list[str]:
        """The stages that ran to their end since the last call, in that order."""
        path = self.root / "ran.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.split()[1] for line in lines if line.startswith("end")]

    def can_write_its_dag(self) -> None:
        """Gives it a `python -m pipelines dag`, which worktrees need."""
        (self.root / "pipelines").mkdir()
        (self.root / "pipelines" / "__init__.py").touch()
        (self.root / "pipelines" / "__main__.py").write_text(PIPELINES)
        (self.root / "dag.txt").write_text((self.root / "dvc.yaml").read_text())

    def git(self, *args: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *who, *args], cwd=self.root, check=True, capture_output=True, text=True).stdout


def wordloom(*args: str) -> list[str]:
    """The command, of this checkout, whatever is installed and wherever it is called."""
    start = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); sys.argv[0] = 'wordloom'; from flows.__main__ import main; main()"
    return [sys.executable, "-P", "-c", start, *args]


def make(root: Path) -> Project:
    """A scratch DVC project in git, with a DAG of the real shape and stages that take no time."""
    made = Project(root)
    made.root.mkdir()
    (made.root / "stage.py").write_text(STAGE)
    (made.root / "yaml_of_the_test.py").write_text(YAML)
    shutil.copy(REPOSITORY / "pipelines" / "deathsig.py", made.root)
    made.write("params.yaml", PARAMS)
    made.write("dvc.yaml", dag())
    made.git("init", "-q")
    (made.root / ".dvc").mkdir()
    (made.root / ".dvc" / "config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    (made.root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (made.root / ".gitignore").write_text("/data/\n/runs/\n/report.html\n/.wordloom/\n/ran.txt\n__pycache__/\n")
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "start")
    return made
