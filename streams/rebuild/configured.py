"""The rules that the settings name, for a log that names none."""

from streams.catalogs import load_catalog
from streams.engine.program import Program, compile_catalog
from streams.engine.rules.errors import CatalogError
from streams.errors import InvalidSchemaError
from streams.settings import Settings


def configured_program(settings: Settings) -> Program:
    """Compile the configured catalog.

    Raises:
        InvalidSchemaError: it cannot be used.
    """
    name = settings.engagement.catalog
    try:
        return compile_catalog(load_catalog(name), name)
    except CatalogError as error:
        raise InvalidSchemaError(str(error)) from None
