"""Rate and distortion: how good a law can be for a budget of bits."""

from ._lattice_atoms import lattice_atoms as lattice_atoms
from ._quantize import quantize as quantize
