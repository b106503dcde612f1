"""What the queue runs, one file a kind. Importing it names the program that does so to the queue."""

from mdaf_core.base.process import module_command
from mdaf_core.queue import api

api.serve_by(module_command(__name__))
