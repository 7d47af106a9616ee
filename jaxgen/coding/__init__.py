"""How few bits: laws and generators as bytes, at the length that theory allows, and networks at a stated precision.

`encode`, `decode`, `code_length`, `save` and `load` are for users. The others are what a kind of object writes itself
with, from wherever it lives, once it is registered; nothing here knows any kind.
"""

from . import _modules as _modules
from ._beta_binomial import log_splits as log_splits
from ._cells import (
    code_occupied as code_occupied,
    packed_bits as packed_bits,
    read_composition as read_composition,
    read_occupied as read_occupied,
    write_composition as write_composition,
    write_occupied as write_occupied,
)
from ._coder import (
    PackedReader as PackedReader,
    PackedWriter as PackedWriter,
    code_number as code_number,
    code_small as code_small,
    code_whole as code_whole,
)
from ._corners import (
    box_kind as box_kind,
    code_corners as code_corners,
    read_box as read_box,
    write_box as write_box,
)
from ._dyadic import (
    TreeCosts as TreeCosts,
    TreeLevel as TreeLevel,
    about_tree_bits as about_tree_bits,
    code_tree as code_tree,
    most_nodes as most_nodes,
    tree_bits as tree_bits,
    tree_contexts as tree_contexts,
)
from ._errors import CodeError as CodeError
from ._fields import Input as Input, Output as Output
from ._format import (
    code_length as code_length,
    decode as decode,
    encode as encode,
    load as load,
    save as save,
)
from ._law import Law as Law
from ._multisets import code_composition as code_composition
from ._network_code import network_code as network_code, read_network as read_network
from ._networks import (
    module_bits as module_bits,
    network_bits as network_bits,
    quantize_network as quantize_network,
    read_arrays as read_arrays,
    rounding_step as rounding_step,
    write_arrays as write_arrays,
)
from ._numbers import float32_if_exact as float32_if_exact
from ._registry import (
    read_body as read_body,
    read_object as read_object,
    refuse as refuse,
    register as register,
    register_class as register_class,
    write_object as write_object,
)
from ._sections import (
    read_record as read_record,
    read_vocabulary as read_vocabulary,
    write_record as write_record,
    write_vocabulary as write_vocabulary,
)
from ._trellis import (
    MAX_PLACES as MAX_PLACES,
    Trellis as Trellis,
    read_open as read_open,
    write_open as write_open,
)
