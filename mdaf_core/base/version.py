"""The program's version: what `mdaf --version`, the package's metadata and the provenance of runs say."""

__version__ = "0.2.0"
