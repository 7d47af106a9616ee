"""Rate and distortion: how good a law can be for a budget of bits."""

from ._quantize import quantize as quantize
