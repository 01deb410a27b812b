"""The stages' command line, which dvc.yaml calls.

python -m pipelines embed glove            one row of one stage
python -m pipelines check vectors glove    the gate after it
python -m pipelines params                 all of params.yaml is valid, dvc.yaml is what it implies
python -m pipelines dag                    write dvc.yaml
python -m pipelines report                 report.html and data/report.md
python -m pipelines list                   the methods there are
python -m pipelines warm                   compile the kernels, so that no run waits for it
"""

import os
import sys
from pathlib import Path

# read when torch or numba loads OpenMP. By default its threads spin while they wait for each other, and two
# stages side by side on two cores then take each other's time: a linear autoencoder took 55.8 s, passive 2.5 s
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from pipelines.deathsig import die_with_parent


def sweep() -> None:
    """Takes away what a power cut leaves of numba's compiled kernels: files without a byte, on which every later run would end."""
    for path in Path(__file__).parent.glob("**/__pycache__/*.nb[ic]"):
        if not path.stat().st_size:
            path.unlink(missing_ok=True)


def main(args: list[str]) -> int:
    sweep()
    try:
        from pipelines import records  # noqa: F401  its clock starts here
        from pipelines.errors import Fault
        from pipelines.registry import VERBS
    except ModuleNotFoundError as err:
        print(f"fault: {sys.executable} has no {err.name}. Activate the environment: source .venv/bin/activate", file=sys.stderr)
        return 2
    root = Path.cwd()
    try:
        match args:
            case [verb, row] if verb in VERBS:
                from pipelines.run import run_stage

                run_stage(root, verb, row)
            case ["check", noun, row]:
                from pipelines import dag, layout
                from pipelines.expect import check, known
                from pipelines.run import guarded

                known(noun, row)
                with guarded(root, dag.gate_name(noun, row), layout.pass_token(noun, row)):
                    check(root, noun, row)
            case ["params"]:
                from pipelines import dag, layout
                from pipelines.run import guarded

                with guarded(root, "params", layout.PARAMS_TOKEN):
                    dag.check(root)
                    layout.write_aside(root / layout.PARAMS_TOKEN, '{"valid": true}\n')
            case ["dag"]:
                from pipelines import dag

                print("dvc.yaml written" if dag.write(root) else "dvc.yaml is up to date")
            case ["report"]:
                from pipelines import layout
                from pipelines.reporting.report import report
                from pipelines.run import guarded

                with guarded(root, "report", layout.SUMMARY):
                    report(root)
            case ["list"]:
                from pipelines.registry import methods

                for verb in VERBS:
                    print(f"{verb:9} {', '.join(methods(verb, root))}")
            case ["warm"]:
                from pipelines.warm import warm

                warm()
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except Fault as fault:
        for line in fault.faults:
            print(f"fault: {line}", file=sys.stderr)
        return 2
    except OSError as err:
        print(f"fault: {err.filename or 'a file'}: {err.strerror or err}. Look at what is there, and who may write it", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; nothing half-made was left", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    die_with_parent()
    sys.exit(main(sys.argv[1:]))
