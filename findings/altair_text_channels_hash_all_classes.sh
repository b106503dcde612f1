#!/usr/bin/env bash
# altair 6.3.0, the two ways to name a chart's channel: encode(x="auc:Q") and encode(x=alt.X("auc:Q")).
#
# The text is presented as the short form of the object, and both give the same specification. One would guess that the text
# costs what making the object costs, and a little for finding the class.
#
# Seen: the specification is equal, and the text costs about a hundred times as much, some milliseconds a channel: to make the
# object from the text, each call hashes the schemas of all 568 classes anew. A page of twenty charts with five channels each
# spends about half a second on it. So it is with every channel, x2 and tooltip as well.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check altair==6.3.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import time

import altair as alt

bars = alt.Chart(alt.UrlData("seeds.csv")).mark_bar()


def best_of(make, times=15):
    make()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        make()
        seconds.append(time.perf_counter() - start)
    return min(seconds)  # least disturbed by what else the machine does


print("altair", alt.__version__)
for name, channel in {"x": alt.X, "x2": alt.X2, "color": alt.Color, "tooltip": alt.Tooltip}.items():
    field = "high" if name == "x2" else "high:Q"
    as_text, as_object = (lambda: bars.encode(**{name: field})), (lambda: bars.encode(**{name: channel(field)}))
    assert as_text().to_dict() == as_object().to_dict()
    text, made = best_of(as_text), best_of(as_object)
    print(f"{name}: equal; {text * 1e3:.2f} ms as text, {made * 1e3:.3f} ms as an object, {text / made:.0f} times")
    assert text > 10 * made
PYTHON
