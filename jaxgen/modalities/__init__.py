"""Prompts in words; images, audio, video and text out of one number.

A modality turns things that can be opened (pictures, sounds, clips, texts, tables) into points and points into files.
A `PromptedGenerator` puts one beside a conditional generator and a description of each label: a prompt is matched to
labels by the words it shares with their descriptions, labels are an interval of [0, 1], and one uniform number of it
becomes the thing (theory, section 7).

**What it is.** The quantised empirical law of the data given the prompt, with the error certified: the cells of the
grid are the levels of the data themselves, so for the generators of `PromptedGenerator.exact` every answer is one of
the data with the labels asked for, each with the frequency it has there. **What it is not.** A model that invents: an
explicit generator goes beyond its data only as far as its measure does (coarser cells, smoothed or mixed masses), and
words are looked up, not understood. Trained generators, such as an `MLPGenerator`, can be asked in the same way; they
do go beyond the data, and nothing is proven about them.
"""

from . import _codec as _codec
from ._audio import Audio as Audio
from ._data import (
    DATA_SETS as DATA_SETS,
    PromptData as PromptData,
    airports as airports,
    digits as digits,
    example as example,
    lines as lines,
    moving_digits as moving_digits,
    plucked_strings as plucked_strings,
)
from ._modality import AbstractModality as AbstractModality, Box as Box
from ._picture import show_prompts as show_prompts
from ._pictures import Images as Images, Video as Video
from ._prompted import PromptedGenerator as PromptedGenerator, modality_from_metadata as modality_from_metadata
from ._table import Table as Table
from ._text import Text as Text
