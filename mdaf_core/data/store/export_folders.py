"""Formats of a folder that holds all parts of a data set, by name."""

from __future__ import annotations

from mdaf_core.data.store.export_fuxictr import export_fuxictr
from mdaf_core.data.store.export_libsvm import export_libsvm

FOLDERS = {"fuxictr": export_fuxictr, "libsvm": export_libsvm}
