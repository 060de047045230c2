"""Pages for people: the package's own HTML templates, in which every value is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jinja2

if TYPE_CHECKING:
    from collections.abc import Callable


def open_page(package: str, **filters: Callable[..., str]) -> jinja2.Template:
    """Return the template `page.html` of a package; an unknown name in it is an error."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.PackageLoader(package, ""),
    )
    environment.filters.update(filters)
    return environment.get_template("page.html")
