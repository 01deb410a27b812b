"""One stage, one row: read, call the method, write aside, check the contract, rename.

Nothing is half done: the output appears in its place whole, after its inputs were found to be the
same at the end as at the start, or it does not appear.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines import cluster, layout, ranks, records
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.parquet import Writer
from pipelines.coding import no_coordinates
from pipelines.dag import check_stage, stage_name
from pipelines.errors import Fault
from pipelines.live import teller
from pipelines.method import Run
from pipelines.params import Row, load_yaml, read_row, thresholds
from pipelines.registry import MAKER, NOUNS

NO_ROOM = ("DefaultCPUAllocator", "Storage size calculation overflowed")  # what torch says, in a RuntimeError, of memory that is no GPU's


def run_stage(root: Path, verb: str, name: str) -> None:
    """Runs one row of params.yaml. Raises Fault; the output folder is then as it was."""
    stamp = stamp_inputs(root, stage_name(verb, name))
    row = read_row(root, verb, name)
    check_stage(root, row)
    final = root / layout.artifact(row.noun, name)
    aside = final.with_name(f".{name}.part")
    with _alone(root, verb, name):
        _sweep(aside)
        try:
            facts = (ranks.call if ranks.several(row) else call)(root, row, aside, stamp)
            same_inputs(root, stage_name(verb, name), stamp)
            _rename(aside, final)
        except OSError as err:
            if err.errno == errno.ENOSPC or "No space left on device" in str(err):
                raise Fault(_disk_full(root, final)) from err
            raise
        finally:
            _sweep(aside)
    record = records.write(root, row.noun, name, layout.hash_path(final), verb=verb, **facts)
    print(
        f"{verb}/{name}: {NOUNS[row.noun](final).n_rows():,} rows of {row.noun} in {record['seconds']:.1f} s, "
        f"{record['peak_bytes'] / 2**20:,.0f} MB, {record['device']}, {record['threads']} threads",
        flush=True,
    )


def call(root: Path, row: Row, aside: Path, stamp: dict[str, str], join: Path | None = None) -> dict[str, Any]:
    """The method's work, in the folder `aside`; gives what the record says of it.

    Args:
        join: where the processes meet that do this work together; None for one that does it alone.
    """
    inputs = _read_inputs(root, row, stamp)
    device = _device(row)
    fabric = ranks.join(row.world.devices, device, join) if join else None
    checkpoints = root / layout.CHECKPOINTS / f"{row.verb}-{row.name}-{layout.hash_json(stamp)[:16]}"
    first = fabric is None or fabric.is_global_zero  # the one that speaks and keeps
    run = Run(
        aside / row.name, f"{row.verb}/{row.name}", row.world.seed, row.world.threads, device,
        raw=root / layout.RAW, checkpoints=checkpoints, show=first, tell=teller(),
        cluster=cluster.from_environment(), fabric=fabric,
    )  # fmt: skip
    run.folder.mkdir(parents=True)
    with _threads(row.world.threads), _room_on(device, run.name):
        artifact = row.method.call(**inputs, params=row.knobs, run=run)
    if run.curve:
        Writer(type(artifact), run.folder).csv("curve", run.curve)
    artifact.verify()
    run.checkpoint.clear()
    facts = {"method": row.method.name, "artifact_bytes": artifact.n_bytes(), "device": device, "threads": row.world.threads}
    if fabric:
        facts["devices"] = row.world.devices
    if run.batch_split > 1:
        facts["batch_split"] = run.batch_split
    return facts


def _read_inputs(root: Path, row: Row, stamp: dict[str, str]) -> dict[str, Any]:
    """The nouns that the row names, each past its gate as it was stamped. Raises Fault for all that are not."""
    faults: list[str] = []
    inputs: dict[str, Any] = {}
    for argument, names in row.inputs.items():
        wanted = row.method.inputs[argument]
        nouns = []
        for name in names:
            nouns.append(wanted.noun(root / layout.artifact(wanted.noun.noun, name)))
            try:
                check_token(root, wanted.noun.noun, name, stamp[layout.artifact(wanted.noun.noun, name)])
            except Fault as fault:
                faults += fault.faults
        if wanted.optional:  # codings then stand where vectors could
            faults += [fault for it in nouns if isinstance(it, Codings) and it.folder.is_dir() for fault in no_coordinates(it)]
        if wanted.many:
            inputs[argument] = nouns
        elif nouns:
            inputs[argument] = nouns[0]
    if faults:
        raise Fault(faults)
    return inputs


def check_token(root: Path, noun: str, name: str, digest: str | None = None) -> str:
    """The artifact's hash, when its gate let exactly this artifact pass, by exactly this suite.

    An old token can come back (`dvc checkout`, the run-cache), so it is not its being there that counts.

    Args:
        digest: the hash, where it is known already: a large artifact takes its time to read.
    """
    from pipelines.expect import suite_hash

    again = f"Run: dvc repro check-{noun}-{name}"
    artifact = root / layout.artifact(noun, name)
    if not artifact.is_dir():
        raise Fault(f"{noun}/{name} is missing at {artifact}. Run: dvc repro {stage_name(MAKER[noun], name)}")
    path = root / layout.pass_token(noun, name)
    try:
        token = json.loads(path.read_text())
        if not isinstance(token, dict):
            raise ValueError(f"it holds {token!r}")
    except FileNotFoundError:
        raise Fault(f"{noun}/{name} has not passed its gate: {layout.pass_token(noun, name)} is missing. {again}") from None
    except ValueError as err:
        raise Fault(f"{layout.pass_token(noun, name)} is no pass token ({err}). Delete it. {again}") from err
    digest = digest or layout.hash_path(artifact)
    if token.get("artifact") != digest:
        raise Fault(
            f"{noun}/{name} has not passed its gate: the pass token names artifact {str(token.get('artifact'))[:12]}, this is {digest[:12]}. {again}"
        )
    if token.get("suite") != suite_hash(NOUNS[noun], thresholds(root, noun, name)):
        raise Fault(f"{noun}/{name} passed a gate of other expectations than today's. {again}")
    return digest


def stamp_inputs(root: Path, stage: str) -> dict[str, str]:
    """What DVC will lock as having made a stage's output: a hash for each of its dependencies and parameters."""
    entry = (load_yaml(root / layout.DAG).get("stages") or {}).get(stage, {})
    stamp = {str(path): layout.hash_path(root / path) for path in entry.get("deps", [])}
    if entry.get("params"):
        params = load_yaml(root / layout.PARAMS)
        for key in entry["params"]:
            verb, _, row = key.partition(".")
            value = params.get(verb)
            stamp[f"{layout.PARAMS}: {key}"] = layout.hash_json(value.get(row) if row and isinstance(value, dict) else value)
    return stamp


def same_inputs(root: Path, stage: str, before: dict[str, str]) -> None:
    """DVC records the inputs after the command; what was edited meanwhile would be locked as the cause. Raises Fault."""
    after = stamp_inputs(root, stage)
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    if changed:
        raise Fault([*(f"{stage}: {key} changed while the stage ran" for key in changed), "The output is thrown away. Run again"])


@contextlib.contextmanager
def guarded(root: Path, stage: str, output: str) -> Iterator[None]:
    """For the stages that are no row: their output, one file, goes when their inputs changed meanwhile, or they fail."""
    stamp = stamp_inputs(root, stage)
    try:
        yield
        same_inputs(root, stage, stamp)
    except BaseException:
        (root / output).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _room_on(device: str, name: str) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as err:
        if type(err).__name__ == "OutOfMemoryError":  # torch's, which is not imported for that
            raise Fault(f"{name}: {device} has no memory left. Lower batch_size or vector_size, free the GPU, or say device: cpu") from err
        if not isinstance(err, MemoryError) and not any(said in str(err) for said in NO_ROOM):
            raise
        reason = str(err).rpartition("DefaultCPUAllocator: ")[2] or "MemoryError"
        raise Fault(
            f"{name}: this machine has too little memory ({reason}). Lower the row's sizes, or batch_size, or run it where there is more"
        ) from err


def _device(row: Row) -> str:
    # a method without torch has no use for a GPU, but for those that import it where there is one
    if row.world.device == "cpu" or not ("torch" in sys.modules or row.method.on_gpu(row.knobs)):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        if ranks.several(row) and torch.cuda.device_count() < row.world.devices:
            raise Fault(
                f"{row.verb}/{row.name}: devices is {row.world.devices}, and this machine has {torch.cuda.device_count()} GPUs. Say fewer, or device: cpu"
            )
        return "cuda"
    if row.world.device == "cuda":
        raise Fault(
            f"{row.verb}/{row.name}: device is cuda, and this machine has no usable GPU. Say device: auto, or cpu, or place it on a gpu queue"
        )
    return "cpu"


@contextlib.contextmanager
def _threads(n: int) -> Iterator[None]:
    """BLAS, OpenMP and numba on `n` threads; numba has never more than there are cores."""
    from threadpoolctl import threadpool_limits

    if "numba" in sys.modules:
        from numba import config, set_num_threads

        set_num_threads(min(n, config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    with threadpool_limits(n):
        yield


@contextlib.contextmanager
def _alone(root: Path, verb: str, name: str) -> Iterator[None]:
    """One writer per row: DVC's own lock does not know of a stage that is run by hand."""
    path = root / layout.LOCKS / stage_name(verb, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Fault(f"{verb}/{name} is being run by process {file.read().strip() or 'unknown'}. Wait for it, or stop it") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        # a TERM unwinds the stack, so that what was written aside is swept away
        old = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, old)


def _rename(aside: Path, final: Path) -> None:
    """Puts the new folder in the place of the old one; what is on disk is complete before the name is."""
    made = aside / final.name
    for path in [*made.rglob("*"), made]:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    if final.exists():
        final.rename(aside / "replaced")
    made.rename(final)


def _sweep(aside: Path) -> None:
    """Removes what this run, or one that was killed, left beside the output."""
    shutil.rmtree(aside, ignore_errors=True)


def _disk_full(root: Path, final: Path) -> str:
    free = shutil.disk_usage(root).free / 2**20
    return (
        f"{final.relative_to(root)}: no space left on the disk while writing ({free:,.0f} MB are free there now). "
        "Nothing was kept. Make room, for instance by `dvc gc --workspace`, and run again"
    )
