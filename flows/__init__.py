"""The second driver and the `wordloom` command. What Prefect has to know before it is imported is set here."""

import logging
import os

HEARTBEAT_S = 30  # how often a run says that it lives; Prefect allows no less

for _key, _value in {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # stages print for themselves; the server gets every line
}.items():
    os.environ.setdefault(_key, _value)


def _is_news(record: logging.LogRecord) -> bool:
    """Not the traceback with which Prefect ends a worker's log of a run that did not end well: the line before has the reason."""
    return not (record.exc_info and type(record.exc_info[1]).__name__ in ("FailedRun", "CancelledRun"))


logging.getLogger("prefect.flow_runs").addFilter(_is_news)
