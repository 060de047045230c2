"""personalm writes for every user in your Parquet, in that user's own voice.

    import personalm

    print(personalm.generate_for("u-maren"))

Importing the package loads no model library; the first text does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from personalm.api import (
        Generation,
        Generations,
        generate_for,
        generate_many,
        read_results,
        unload,
    )

__version__ = "0.1.0"

__all__ = [
    "Generation",
    "Generations",
    "__version__",
    "generate_for",
    "generate_many",
    "read_results",
    "unload",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the names above
    if name in __all__:
        from personalm import api  # noqa: PLC0415 - loaded when a name is first used

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
