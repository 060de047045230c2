"""Prefect flows: thin doors to the same pipeline as the shell and the notebook.

Personal data stays in the building, and so does the word that it was worked on: telemetry of
Prefect's client and of its temporary server is off unless the environment says otherwise. That
server gets two minutes to start: Prefect's own twenty seconds are too few on a slow, busy machine.
"""

import os

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
