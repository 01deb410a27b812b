"""All rows of a parameter file in one process, without DVC and gates: `python -m tests.rows PARAMS FOLDER` prints their hashes."""

import json
import sys
from pathlib import Path

from pipelines import layout
from pipelines.dag import ordered
from pipelines.method import Run
from pipelines.params import load_yaml, rows_of


def run_all(params: Path, folder: Path) -> dict[str, str]:
    """verb/row -> hash of what it made."""
    made, found = {}, {}
    for row in ordered(rows_of(load_yaml(params))):
        inputs = {}
        for argument, names in row.inputs.items():
            wanted = row.method.inputs[argument]
            nouns = [made[wanted.noun.noun, name] for name in names]
            if nouns:
                inputs[argument] = nouns if wanted.many else nouns[0]
        place = folder / row.noun / row.name
        place.mkdir(parents=True)
        run = Run(place, f"{row.verb}/{row.name}", row.world.seed, row.world.threads)
        artifact = row.method.call(**inputs, params=row.knobs, run=run)
        artifact.verify()
        made[row.noun, row.name] = artifact
        found[f"{row.verb}/{row.name}"] = layout.hash_path(place)
    return found


if __name__ == "__main__":
    print(json.dumps(run_all(Path(sys.argv[1]), Path(sys.argv[2]))))
