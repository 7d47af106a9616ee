"""Training: fit any generator to data with a Sinkhorn loss."""

from ._fit import Fitted as Fitted, TrainingError as TrainingError, fit as fit
