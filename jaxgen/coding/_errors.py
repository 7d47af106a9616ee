"""What is raised for bytes that are no jaxgen file, or a damaged one."""


class CodeError(ValueError):
    """The bytes are not what `encode` writes; the message says what is wrong with them.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.decode(b"a letter")
        Traceback (most recent call last):
        ...
        jaxgen.coding._errors.CodeError: not a jaxgen file: it begins with b'a le', not with b'\\x8aJ'
    """
