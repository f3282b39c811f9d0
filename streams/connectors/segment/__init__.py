"""Segment, RudderStack and whoever speaks their tracking API. README.md in this folder says how to set it up."""
