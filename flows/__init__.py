"""The second driver and the `wordloom` command. What Prefect has to know before it is imported is set here."""

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
