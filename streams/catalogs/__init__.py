"""Where catalogs come from: built-ins by name, files by path, each with what it extends merged in."""

from streams.catalogs.load import BUILT_IN, load_catalog, load_program
from streams.catalogs.problems import InvalidCatalogError

__all__ = ["BUILT_IN", "InvalidCatalogError", "load_catalog", "load_program"]
