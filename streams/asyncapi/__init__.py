"""The AsyncAPI document: every topic with its messages, keys, headers and settings, and who sends and receives what.

Theory of operation. Nothing is described twice. Topics and their settings come from `streams.topics`, payloads from
the JSON Schemas of `schemas`, who may send and receive from the roles that `pegel topics acls` knows. Examples are what
the stages themselves write when a small story is told to them (`story`). What only this package says is what a record's
headers are (`messages`); the tests hold that against the same story.

`schemas/asyncapi.yaml` is the document of the default settings; `pegel schemas asyncapi --config FILE` writes that of a
deployment.
"""
