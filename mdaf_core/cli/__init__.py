"""Command line: the same actions as the pages. Each sub-module adds its commands to `app`."""
