"""How numbers enter models: fitted on training rows, kept in `dataset.json`, to be applied to any row."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, Field

from mdaf_core.base.errors import BadInputError

Transform = Literal["standard", "log", "none"]
LIMIT = 10.0
"""Training rows lie within ± this, in standardised units; what other rows hold beyond is cut there."""
_SMALLEST = float(np.finfo(np.float64).tiny)
_LARGEST = float(np.finfo(np.float32).max)


class Scaling(BaseModel):
    """Of one field. `standard`: u = sign(x) · ln(1 + |x|), then (u − mean) / divisor, within ± `LIMIT`; `log`: u alone;
    `none`: x as it is. Missing values stay missing.

    Mean, standard deviation and divisor are of u over the training rows that have a number. The divisor is the standard
    deviation, or a tenth of the longest distance from the mean where a heavy tail makes that longer; 1 where u does not
    vary.
    """

    transform: Transform = "standard"
    mean: float = 0.0
    sd: float = 0.0
    divisor: float = Field(1.0, gt=0)
    rows: int = Field(0, description="Training rows it was fitted on.")

    def apply(self, values: pl.Series) -> np.ndarray:
        """(N,) float32 model inputs of raw numbers; NaN where a number is missing (null or NaN).

        Raises:
            BadInputError: a number is infinite, or without scaling beyond what 32 bits hold.
        """
        numbers = values.cast(pl.Float64).fill_nan(None)
        largest = float(numbers.abs().max() or 0.0)  # type: ignore[arg-type]
        if not np.isfinite(largest):
            raise BadInputError(
                f"The numeric field {values.name} holds an infinite value: correct it, or leave it empty."
            )
        if self.transform == "none":
            if largest > _LARGEST:
                raise BadInputError(
                    f"The numeric field {values.name} holds values up to {largest:.3g}, beyond what models compute "
                    "with: do not set numeric_scaling=none."
                )
        else:
            numbers = _signed_log(numbers)
        if self.transform == "standard":
            numbers = ((numbers - self.mean) / self.divisor).clip(-LIMIT, LIMIT)
        return numbers.cast(pl.Float32).fill_null(float("nan")).to_numpy()

    def invert(self, inputs: np.ndarray) -> np.ndarray:
        """(N,) float64 numbers as the source gave them, to about six digits; of what was cut, the limit's."""
        numbers = np.asarray(inputs, np.float64)
        if self.transform == "standard":
            numbers = numbers * self.divisor + self.mean
        return numbers if self.transform == "none" else np.sign(numbers) * np.expm1(np.abs(numbers))

    @property
    def words(self) -> str:
        """For people."""
        if self.transform == "standard":
            return f"signed log, standardised on {self.rows:,} training rows"
        return {"log": "signed log", "none": "as it is"}[self.transform]


def fit(values: pl.Series, training: pl.Series, transform: Transform) -> Scaling:
    """The scaling of a field.

    Args:
        values: (N,) numbers, null or NaN where missing.
        training: (N,) which rows train.
    """
    if transform != "standard":
        return Scaling(transform=transform)
    numbers = _signed_log(values.filter(training).cast(pl.Float64).fill_nan(None).drop_nulls()).to_numpy()
    numbers = numbers[np.isfinite(numbers)]  # what is not, `apply` refuses
    if not len(numbers):
        return Scaling(transform=transform)
    low, high = float(numbers.min()), float(numbers.max())
    mean = min(max(float(numbers.mean()), low), high)
    if low == high:
        return Scaling(transform=transform, mean=low, rows=len(numbers))
    sd = float(numbers.std())
    divisor = max(sd, (high - mean) / LIMIT, (mean - low) / LIMIT)
    return Scaling(
        transform=transform,
        mean=mean,
        sd=sd,
        divisor=divisor if divisor > _SMALLEST else 1.0,
        rows=len(numbers),
    )


def _signed_log(numbers: pl.Series) -> pl.Series:
    return numbers.sign() * numbers.abs().log1p()
