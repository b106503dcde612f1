"""Products of float32 by the two libraries that torch has for them, turn by turn: `python -m benchmarks.products`.

Rows, inputs and outputs are those of a streamed batch of `mdaf-sequential` and of smaller ones; each as a linear
layer's forward pass (x wᵀ), its input's gradient (g w) and its weights' (gᵀ x). Least processor time of the turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import parser, report
from mdaf_core.ops import products

SHAPES = ((4300, 128, 256), (4300, 256, 128), (4300, 256, 40), (2048, 442, 256), (1024, 128, 64), (100, 128, 64))
LIBRARIES = {"MKL": "ieee", "oneDNN": "bf16"}


def forms(rows: int, inner: int, outs: int) -> dict[str, Callable[[], Tensor]]:
    rng = torch.Generator().manual_seed(rows + inner + outs)
    x, w, g = (torch.randn(size, generator=rng) for size in ((rows, inner), (outs, inner), (rows, outs)))
    return {"x wᵀ": lambda: x @ w.t(), "g w": lambda: g @ w, "gᵀ x": lambda: g.t() @ x}


def main() -> None:
    arguments = parser(__doc__, steps=200)
    arguments.add_argument("--threads", type=int, default=1)
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    if products.rounds():
        raise SystemExit("Asked so, oneDNN would round factors to bfloat16 on this processor: nothing to compare.")
    rows: list[list[Any]] = [["rows", "inputs", "outputs", "form", *LIBRARIES, "ratio", "largest difference"]]
    for shape in SHAPES:
        for name, form in forms(*shape).items():
            least, results = dict.fromkeys(LIBRARIES, float("inf")), {}
            for _ in range(given.steps):
                for library, setting in LIBRARIES.items():
                    products.MATMUL.fp32_precision = setting
                    start = time.process_time()
                    results[library] = form()
                    least[library] = min(least[library], time.process_time() - start)
            rate = [2e-9 * shape[0] * shape[1] * shape[2] / seconds for seconds in least.values()]
            one, other = results.values()
            rows.append([*shape, name, *rate, rate[1] / rate[0], float((one - other).abs().max() / one.abs().max())])
    report({"rows": rows}, {f"Billion operations a second, {given.threads} threads": rows}, given.json)


if __name__ == "__main__":
    main()
