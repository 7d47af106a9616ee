"""Points from files, and the airports that every example uses."""

from ._airports import airports as airports
from ._dataset import Dataset as Dataset
from ._load import load_points as load_points
