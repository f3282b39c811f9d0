"""Where catalogs come from: built-ins by name, files by path, each with what it extends merged in."""

from streams.catalogs.load import BUILT_IN, load_catalog

__all__ = ["BUILT_IN", "load_catalog"]
