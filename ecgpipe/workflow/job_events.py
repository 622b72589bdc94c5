"""Snakemake's events of jobs, written to a file: a logger plugin, registered for one run of Snakemake.

``python -P job_events.py FILE …`` runs ``snakemake …`` in this process. It writes to FILE each job that starts, or that
a dry run would start, one JSON object a line. It imports nothing of ecgpipe: a Snakefile imports what lies beside it.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

NAME = "job-events"
KEYS = ("rule_name", "wildcards", "reason", "output", "shellcmd")


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of the plugin."""

    file: Path | None = field(default=None, metadata={"help": "file to write, one JSON object a line"})


class LogHandler(LogHandlerBase):
    """Writes what Snakemake says of each job that starts."""

    writes_to_stream = False
    writes_to_file = False  # Snakemake would tell its path at the end of a run
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a job's event; other events are passed over."""
        if getattr(record, "event", None) != LogEvent.JOB_INFO:
            return
        assert isinstance(self.settings, LogHandlerSettings)
        assert self.settings.file is not None
        said = {key: getattr(record, key) for key in KEYS}
        with open(self.settings.file, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(said, default=str) + "\n")


def register() -> None:
    """Make the plugin known to Snakemake in this process: it is then asked for by ``--logger job-events``."""
    LoggerPluginRegistry().register_plugin(f"snakemake_logger_plugin_{NAME}", sys.modules[__name__])


def options(file: Path) -> list[str]:
    """Return Snakemake's options that write the events to a file."""
    return ["--logger", NAME, f"--logger-{NAME}-file", str(file)]


def main(arguments: Sequence[str]) -> None:
    """Run Snakemake with the events written to the file that the first argument names."""
    import snakemake.cli

    register()
    snakemake.cli.main([*options(Path(arguments[0])), *arguments[1:]])


if __name__ == "__main__":
    main(sys.argv[1:])
