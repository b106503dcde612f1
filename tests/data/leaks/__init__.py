"""Logs of clicks with a leak of the label planted, and logs without one."""

from __future__ import annotations

from tests.data.leaks import clean, copies, encodings, lists, pairs, times, values
from tests.data.leaks.base import CLEAN, LEAKS, Leak

__all__ = ["CLEAN", "LEAKS", "Leak", "clean", "copies", "encodings", "lists", "pairs", "times", "values"]
