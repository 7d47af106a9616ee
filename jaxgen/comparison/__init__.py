"""The yardstick: any generators, side by side, on data that none of them has seen; and laws with a known truth."""

from ..data import Dataset as Dataset, airports as airports, load_points as load_points
from ._compare import compare as compare
from ._records import Entry as Entry, Halves as Halves, Spread as Spread
from ._report import Report as Report
from ._settings import PRESETS as PRESETS, Settings as Settings, default_resolution as default_resolution
from ._suite import compare_suite as compare_suite
from ._suite_report import AtomsRow as AtomsRow, BitsRow as BitsRow, SuiteReport as SuiteReport
