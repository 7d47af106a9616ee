"""Rate and distortion: how good a law can be for a budget of bits."""

from ._grids import best_grid as best_grid
from ._lattice_atoms import lattice_atoms as lattice_atoms
from ._quantize import TREE_DIMENSIONS as TREE_DIMENSIONS, quantize as quantize
from ._worth import worth as worth
