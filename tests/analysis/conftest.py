"""Runs made by hand for the tests of this folder."""

from tests.runs.made import make_run  # noqa: F401
