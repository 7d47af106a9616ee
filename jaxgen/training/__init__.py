"""Training: fit any generator to data, with any loss on samples."""

from ._fit import fit as fit
from ._fitted import Fitted as Fitted, TrainingError as TrainingError
from ._rounded import fit_rounded as fit_rounded
from ._sinkhorn_loss import SinkhornLoss as SinkhornLoss
