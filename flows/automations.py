"""What the server does by itself when something happens to a run: the automations that `wordloom deploy` puts there.

Each is plain data: an event to wait for, and what follows. One of your own, on one of our events:

    from prefect.automations import Automation, EventTrigger, Posture, RunDeployment
    Automation(
        name="verify after each model",
        trigger=EventTrigger(expect={"wordloom.model.finished"}, posture=Posture.Reactive),
        actions=[RunDeployment(deployment_id=...)],
    ).create()
"""

from datetime import timedelta
from uuid import UUID

from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from flows import HEARTBEAT_S

SILENCE = timedelta(seconds=3 * HEARTBEAT_S)  # one or two heartbeats may be late
LATE = timedelta(minutes=10)
BLOCK = "wordloom"  # notification blocks of this name, of whatever type, are told

RUN = "prefect.flow-run."
EACH_RUN = {"prefect.resource.id"}
ENDS = {RUN + state for state in ("Completed", "Failed", "TimedOut", "Cancelled", "Crashed", "Suspended")}
STARTS = {RUN + state for state in ("Pending", "Running", "Cancelled", "Crashed", "Failed")}
# the failure of a stage is told by the run that sent it
NO_STAGE = ResourceSpecification({"prefect.resource.role": "flow", "prefect.resource.name": "!stage"})
RUN_TEXT = "{{ flow.name }} {{ flow_run.name }}"
MORE = "{{ flow_run.state.message }}\n\n{{ flow_run|ui_url }}"


def zombies(flows: list[str], silence: timedelta = SILENCE) -> AutomationCore:
    """A run whose process is gone cannot say so: it is Crashed once its heartbeats have stopped for so long.

    Args:
        flows: their names; the runs of others may have longer pauses between heartbeats.
    """
    return AutomationCore(
        name="wordloom: a silent run has crashed",
        description="Prefect sees a run's end when its process reports it. A killed process does not.",
        trigger=EventTrigger(
            after={RUN + "Running", RUN + "heartbeat"}, expect={RUN + "heartbeat", *ENDS}, for_each=EACH_RUN,
            match_related=ResourceSpecification({"prefect.resource.role": "flow", "prefect.resource.name": flows}),
            posture=Posture.Proactive, threshold=1, within=silence,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"no heartbeat for {silence.total_seconds():.0f} s: its process, its worker or its machine is gone",
            )
        ],
    )  # fmt: skip


def stillborn(flows: list[str], patience: timedelta = LATE) -> AutomationCore:
    """A run that a worker had taken when it was killed, and not started yet, has no heartbeat that could stop."""
    return AutomationCore(
        name="wordloom: a run that was taken has not started",
        description="Its worker is gone. It is Crashed, so that whoever sent it sends it again.",
        trigger=EventTrigger(
            after={RUN + "Pending"}, expect={RUN + "Running", RUN + "heartbeat", RUN + "Scheduled", *ENDS}, for_each=EACH_RUN,
            match_related=ResourceSpecification({"prefect.resource.role": "flow", "prefect.resource.name": flows}),
            posture=Posture.Proactive, threshold=1, within=patience,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"a worker took it, and it has not started within {patience.total_seconds():.0f} s: its worker or its machine is gone",
            )
        ],
    )  # fmt: skip


def failures(blocks: list[UUID]) -> AutomationCore:
    return AutomationCore(
        name="wordloom: a run failed",
        description="Tells the notification blocks.",
        trigger=EventTrigger(
            expect={RUN + "Failed", RUN + "TimedOut", RUN + "Crashed"}, match_related=NO_STAGE, for_each=EACH_RUN,
            posture=Posture.Reactive, threshold=1,
        ),
        actions=_tell(blocks, f"{RUN_TEXT}: {{{{ flow_run.state.name }}}}", MORE),
    )  # fmt: skip


def late(blocks: list[UUID], patience: timedelta = LATE) -> AutomationCore:
    return AutomationCore(
        name="wordloom: no worker takes a run",
        description="Tells the notification blocks of a run that is late and still has not started.",
        trigger=EventTrigger(
            after={RUN + "Late"}, expect=STARTS, match_related=NO_STAGE, for_each=EACH_RUN,
            posture=Posture.Proactive, threshold=1, within=patience,
        ),
        actions=_tell(blocks, f"{RUN_TEXT}: late", "No worker took it. Is one running? Start it: wordloom worker\n\n{{ flow_run|ui_url }}"),
    )  # fmt: skip


def closed_gates(blocks: list[UUID]) -> AutomationCore:
    """On an event of our own; the one to copy for others."""
    return AutomationCore(
        name="wordloom: a gate closed",
        description="Tells the notification blocks which data did not pass, as soon as it happens.",
        trigger=EventTrigger(expect={"wordloom.gate.failed"}, posture=Posture.Reactive, threshold=1),
        actions=_tell(blocks, "{{ event.resource.name or event.resource.id }}: the gate is closed", "{{ event.payload|tojson }}"),
    )


def told(blocks: list[UUID], patience: timedelta = LATE) -> list[AutomationCore]:
    """Those that tell somebody."""
    return [failures(blocks), late(blocks, patience), closed_gates(blocks)]


def _tell(blocks: list[UUID], subject: str, body: str) -> list[ActionTypes]:
    return [SendNotification(block_document_id=block, subject=subject, body=body) for block in blocks]
