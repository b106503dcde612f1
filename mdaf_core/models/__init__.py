"""One file a model: its configuration on top, its network below (read in two steps: no torch until a network is asked
for). `registry` finds the files."""

from mdaf_core.base import two_steps

two_steps.files_of(__name__)
