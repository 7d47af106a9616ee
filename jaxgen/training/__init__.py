"""Training: fit any generator to data with a Sinkhorn loss."""

from ._fit import Fitted as Fitted, TrainingError as TrainingError, fit as fit
from ._loss import (
    ANNEAL_BY as ANNEAL_BY,
    ANNEAL_FROM as ANNEAL_FROM,
    ITERATIONS as ITERATIONS,
    batch_divergence as batch_divergence,
)
