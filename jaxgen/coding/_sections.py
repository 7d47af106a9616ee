"""Sections that several kinds have: the labels, and the record of what was proven."""

from ._errors import CodeError
from ._fields import Input, Output
from ._numbers import integer_bytes

Label = str | int
Bounds = dict[str, tuple[float, float]]
LabelBounds = dict[str, tuple[tuple[float, float], ...]]

VOCABULARY, RECORD = 1, 4
# Labels 0, 1, 2, ... take no bytes of their own, up to a number that takes little memory whatever a file claims.
_COUNTED = 1 << 12
# Names of bounds that take one byte; any other is spelled out, behind the byte of the empty one.
_NAMES = ("rounding", "quantization", "", "points")
_SPELLED = _NAMES.index("")


def write_vocabulary(out: Output, labels: tuple[Label, ...] | None) -> None:
    """The section of the labels, if there are any.

    Twice their number, and 1 more if they are 0, 1, 2, ...; else each behind twice its length, 1 more for an integer.

    **Raises:** `TypeError` for labels that are neither strings nor integers.

    **Example:**

        >>> import jaxgen as jg
        >>> out = jg.coding.Output()
        >>> jg.coding.write_vocabulary(out, ("a", "b"))
        >>> out.sections
        {1: b'\\x04\\x02a\\x02b'}
    """
    if labels is None:
        return
    if not all(type(label) in (str, int) for label in labels):
        raise TypeError(f"labels must be strings or integers to be encoded; got {labels!r}")
    part, counting = Output(), len(labels) <= _COUNTED and labels == tuple(range(len(labels)))
    part.integer(2 * len(labels) + counting)
    for label in () if counting else labels:
        data = label.encode("utf-8", "surrogatepass") if isinstance(label, str) else integer_bytes(label)
        part.integer(2 * len(data) + isinstance(label, int))
        part.raw(data)
    out.sections[VOCABULARY] = part.finish()


def read_vocabulary(data: Input) -> tuple[Label, ...] | None:
    """The labels that `write_vocabulary` wrote, or `None`.

    **Raises:** `CodeError` for bytes that it did not write.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.coding.read_vocabulary(jg.coding.Input(b"", 2, {1: memoryview(b"\\x05")}))
        (0, 1)
    """
    part = data.section(VOCABULARY)
    if part is None:
        return None
    count, counting = divmod(part.integer("the number of labels", 1 << 25), 2)
    if not 1 <= count <= (_COUNTED if counting else part.left):
        raise CodeError(f"the file claims {count} labels in {part.left} bytes")
    labels: list[Label] = list(range(count)) if counting else []
    for _ in range(0 if counting else count):
        size, whole = divmod(part.integer("the length of a label", 2 * part.left + 1), 2)
        labels.append(int.from_bytes(part.part(size), "little", signed=True) if whole else part.text(size))
    part.end()
    return tuple(labels)


def write_record(out: Output, bounds: Bounds, label_bounds: LabelBounds | None = None) -> None:
    """The section of what was proven: pairs of bounds on W_1 and W_2 by name, and one a label; none without bounds.

    **Example:**

        >>> import jaxgen as jg
        >>> out = jg.coding.Output()
        >>> jg.coding.write_record(out, {"rounding": (0.5, 1.0)})
        >>> len(out.sections[4])
        7
    """
    if not bounds:
        return
    part = Output()
    for name, pair in _begin(part, bounds):
        _write_name(part, name)
        part.numbers(pair)
    for name, pairs in _begin(part, label_bounds or {}):
        _write_name(part, name)
        part.integer(len(pairs))
        part.numbers(pairs)
    out.sections[RECORD] = part.finish()


def read_record(data: Input) -> tuple[Bounds, LabelBounds | None]:
    """The bounds that `write_record` wrote.

    **Raises:** `CodeError` for bytes that it did not write, and for bounds that are negative or not finite.

    **Example:**

        >>> import jaxgen as jg
        >>> section = memoryview(bytes.fromhex("01 00 61 80 71 80 00"))
        >>> jg.coding.read_record(jg.coding.Input(b"", 2, {4: section}))
        ({'rounding': (0.5, 1.0)}, None)
    """
    part = data.section(RECORD)
    if part is None:
        return {}, None
    bounds = {_read_name(part): _read_pairs(part, 1)[0] for _ in range(part.integer("bounds", part.left))}
    each = {
        _read_name(part): _read_pairs(part, part.integer("labels", part.left))
        for _ in range(part.integer("bounds", part.left))
    }
    part.end()
    return bounds, each or None


def _begin(out: Output, table: dict):
    out.integer(len(table))
    return table.items()


def _write_name(out: Output, name: str) -> None:
    code = _NAMES.index(name) if name in _NAMES else _SPELLED
    out.integer(code)
    if code == _SPELLED:
        out.text(name)


def _read_name(data: Input) -> str:
    code = data.integer("the name of a bound", len(_NAMES) - 1)
    return data.text() if code == _SPELLED else _NAMES[code]


def _read_pairs(data: Input, count: int) -> tuple[tuple[float, float], ...]:
    values = data.numbers(2 * count)
    if not all(0 <= value < float("inf") for value in values):
        raise CodeError("the bounds in the file must be nonnegative and finite")
    return tuple((float(w1), float(w2)) for w1, w2 in zip(values[::2], values[1::2], strict=True))
