"""Generated impressions: the parts that are told of their log-odds are those that drew the clicks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from mdaf_core.data.formats.synthetic import SyntheticOptions, log_odds, read


def test_the_parts_add_up_to_the_true_log_odds() -> None:
    options = SyntheticOptions(size="tiny", seed=3)
    rows, parts = read(None, options, lambda *_: None).rows, log_odds(options)
    rest = logit(rows["true_probability"].to_numpy()) - sum(parts.values())
    assert rest == pytest.approx(rest[0], abs=1e-9)
    session = rows["segment"].to_numpy() == "session"
    for name in ("taste", "item", "category", "hour", "sequential"):
        assert (parts[name][session].std() > parts[name][~session].std()) == (name == "sequential")
    assert len(np.unique(parts["segment"])) == 2 and len(np.unique(parts["hour"].round(9))) <= 48
