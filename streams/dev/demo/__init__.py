"""The first minutes with Pegel: everything on one machine, on real events, shown as it happens."""
