"""Ready job types: commands, programs, HTTP calls, events.

Each function makes a registry with one job type; `engine.include(...)` turns it on, and none is on by itself.
Their payloads are data: they choose among what the code allows, and never name code.
"""

from aiojobs_engine.kinds.commands import commands
from aiojobs_engine.kinds.happenings import Happenings
from aiojobs_engine.kinds.shell import ShellError, ShellResult, shell
from aiojobs_engine.kinds.urls import UrlError, UrlResult, urls

__all__ = ["Happenings", "ShellError", "ShellResult", "UrlError", "UrlResult", "commands", "shell", "urls"]
