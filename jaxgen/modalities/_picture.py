"""The picture worth showing: a row a generator, a column a prompt, one number each."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.random as jr
from jaxtyping import PRNGKeyArray

from ._prompted import PromptedGenerator


def show_prompts(
    generators: Mapping[str, PromptedGenerator],
    prompts: Sequence[str],
    key: PRNGKeyArray,
    bits: Mapping[str, float] | None = None,
) -> Any:
    """A Matplotlib figure of what each generator answers to each prompt, one sample each.

    - `generators`: by the name to show. `prompts`: free text, which every generator must know.
    - `bits`: the code length of each generator, by the same names, written beside it.

    Column j uses key number j in every row. Raises `ValueError` for no generator or no prompt, and as
    `PromptedGenerator.prompt` does.

    **Example:**

        >>> import jax
        >>> from jaxgen.modalities import example, show_prompts
        >>> figure = show_prompts({"exact": example("text")}, ["beauty", "errors"], jax.random.key(0))
        >>> len(figure.axes)
        2
    """
    from matplotlib.figure import Figure

    if not generators or not prompts:
        raise ValueError("show_prompts needs at least one generator and one prompt")
    columns = min(len(prompts), 10)
    bands = -(-len(prompts) // columns)
    rows = bands * len(generators)
    figure = Figure(figsize=(1.3 * columns + 1.1, 1.45 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for r, (name, generator) in enumerate(generators.items()):
        label = name if bits is None or name not in bits else f"{name}\n{bits[name]:,.0f} bits"
        for j, prompt in enumerate(prompts):
            band, column = divmod(j, columns)
            axes = grid[band * len(generators) + r, column]
            axes.set_axis_on()
            (thing,) = generator.sample(jr.fold_in(key, j), 1, prompt)
            generator.modality.draw(axes, thing)
            if r == 0:
                axes.set_title(prompt, size=7, wrap=True)
            if column == 0:
                axes.annotate(
                    label, (-0.12, 0.5), xycoords="axes fraction", rotation=90, ha="right", va="center", size=8
                )
    return figure
