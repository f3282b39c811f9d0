"""Replay: the engine without Kafka, over files in the event format or dumps of a topic."""
