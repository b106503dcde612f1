#!/usr/bin/env bash
# tensorboard 2.20.0, the downloads of its scalars dashboard (/data/plugin/scalars/scalars?format=csv and format=json), of
# scalars written as `torch.utils.tensorboard` and TensorFlow write them (summary_v2.scalar_pb).
#
# A logged 0.8138 is a Python float, and the downloads print 16 digits; one would guess that these are the figure's.
#
# Seen: scalars are kept as float32, so the CSV has 0.8137999773025513, and a figure that is not finite is the text NaN or
# Infinity in JSON, in quotes, not a number. Compared with the same figure from a log, or with a rounded one at its sixth
# decimal, 0.8138 is not 0.8138: figures of both sources differ, and "identical to the leaderboard" fails, unless they are
# read back as the shortest number that is the same float32.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorboard==2.20.0 'setuptools<81'
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import json
import math

import numpy as np
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.scalar import scalars_plugin
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.version import VERSION
from werkzeug.test import Client

writer = EventFileWriter("logs/run")
for step, value in enumerate((0.8138, math.nan)):
    writer.add_event(Event(wall_time=1.0 + step, step=step, summary=scalar_pb("val_auc", value)))
writer.close()
multiplexer = plugin_event_multiplexer.EventMultiplexer()
multiplexer.AddRunsFromDirectory("logs")
multiplexer.Reload()
provider = data_provider.MultiplexerDataProvider(multiplexer, "logs")
plugin = scalars_plugin.ScalarsPlugin(base_plugin.TBContext(logdir="logs", multiplexer=multiplexer, data_provider=provider))
client = Client(plugin.get_plugin_apps()["/scalars"])
text = {kind: client.get(f"/?run=run&tag=val_auc&format={kind}").get_data(as_text=True) for kind in ("csv", "json")}
print("tensorboard", VERSION)
print(text["csv"].strip(), text["json"].strip(), sep="\n")
head, first, _ = text["csv"].splitlines()
assert head == "Wall time,Step,Value", head
value = float(first.split(",")[2])
assert value != 0.8138 and value == float(np.float32(0.8138)), value
assert float(str(np.float32(value))) == 0.8138  # the shortest number that is the same float32
assert json.loads(text["json"])[1][2] == "NaN"
PYTHON
