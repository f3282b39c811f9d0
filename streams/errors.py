"""Failures whose cause lies outside the program: each names the place, the reason and the fix, and needs no traceback.

A command ends with the exit status of the kind (`streams.cli`). Everything that is not one of these is a fault of
ours.
"""


class ExpectedError(Exception):
    """The text is for the user."""


class SettingsError(ExpectedError):
    """A setting or an argument cannot be used."""


class KafkaUnreachableError(ExpectedError):
    """No broker answered in time, or none let us in."""


class KafkaRefusedError(KafkaUnreachableError):
    """A broker answered, and does not let us in or does not let us do what we must: trying again is no use."""


class RegistryUnreachableError(ExpectedError):
    """No schema registry answered in time."""


class InvalidSchemaError(ExpectedError):
    """A schema, catalog or playbook is invalid."""
