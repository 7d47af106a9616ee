"""The yardstick: any generators, side by side, on data that none of them has seen."""

from ._compare import compare as compare
from ._data import Dataset as Dataset, airports as airports, load_points as load_points
from ._report import Entry as Entry, Report as Report
