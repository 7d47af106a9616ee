"""How few bits: laws and generators as bytes, at the length that theory allows, and networks at a stated precision."""

from ._errors import CodeError as CodeError
from ._format import (
    code_length as code_length,
    decode as decode,
    encode as encode,
    load as load,
    save as save,
)
from ._networks import (
    module_bits as module_bits,
    network_bits as network_bits,
    quantize_network as quantize_network,
)
from ._rate import quantize as quantize
