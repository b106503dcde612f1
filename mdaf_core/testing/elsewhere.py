"""What another process says of a model: `python -m mdaf_core.testing.elsewhere`, asked on stdin, as the check `process`
does."""

from __future__ import annotations

import json
import sys

from mdaf_core.ops.kernels import set_threads
from mdaf_core.plugins import using
from mdaf_core.testing.files import Examined, models_named


def request(model: Examined) -> str:
    """What to ask for this model."""
    target = str(model.plugin.file.resolve()) if model.plugin else model.name
    return json.dumps({"target": target, "name": model.name})


def main() -> None:
    """Print each weight's digest after some steps, and that of a prediction."""
    from mdaf_core.testing.repeats import fingerprints
    from mdaf_core.testing.subject import Subject

    set_threads(1)
    asked = json.load(sys.stdin)
    model = next(m for m in models_named(asked["target"]) if m.name == asked["name"])
    with using(*filter(None, [model.plugin])):
        for name, digest in fingerprints(Subject(model.config)).items():
            sys.stdout.write(f"{name} {digest}\n")


if __name__ == "__main__":
    main()
