"""Points from files, the airports that every example uses, and laws whose truth is known."""

from ._airports import airports as airports
from ._dataset import Dataset as Dataset
from ._known_laws import KnownLaw as KnownLaw, known_laws as known_laws
from ._load import load_points as load_points
