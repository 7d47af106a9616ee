"""What is raised for bytes that are no jaxgen file, or a damaged one."""


class CodeError(ValueError):
    """The bytes are not what `encode` writes; the message says what is wrong with them."""
