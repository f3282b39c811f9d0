"""Every bound in one place: what arrives is hostile, so sizes, counts, depth and time are limited.

The names end in their unit. A limit that is met is never silent: what was cut or refused is counted by reason
(`streams.metrics`), and refused records go to a dead-letter topic.
"""

from typing import Final

# One record
RECORD_BYTES_MAX: Final = 1 << 20
BATCH_BYTES_MAX: Final = 64 << 20
"""What a compressed batch of records may hold."""
JSON_DEPTH_MAX: Final = 32
JSON_KEYS_MAX: Final = 10_000
ACCOUNT_ID_CHARS_MAX: Final = 255

# Intake
LEARNED_USERS_MAX: Final = 250_000
"""Users of one partition of product.events.v1 whose account is known; some 300 B of memory each."""
USER_ID_CHARS_MAX: Final = 255
HEADERS_MAX: Final = 64
HEADERS_BYTES_MAX: Final = 16 << 10
DEAD_LETTER_VALUE_BYTES_MAX: Final = 2 * RECORD_BYTES_MAX
DEAD_LETTER_KEY_BYTES_MAX: Final = 64 << 10
DEAD_LETTER_HEADERS_BYTES_MAX: Final = RECORD_BYTES_MAX

# One account
USERS_MAX: Final = 1_000
TEAMS_MAX: Final = 200
EVENT_NAMES_MAX: Final = 256
TRAITS_MAX: Final = 100
TRAIT_KEY_CHARS_MAX: Final = 100
TRAIT_TEXT_CHARS_MAX: Final = 1_000
RESOURCES_MAX: Final = 50
MESSAGE_IDS_MAX: Final = 512
MESSAGE_ID_AGE_MAX_MS: Final = 24 * 3_600_000
MESSAGE_ID_CHARS_MAX: Final = 255  # as a transition shows it; ids are told apart by all of their characters

MEASURE_VALUES_MAX: Final = 1_000
ACCOUNT_MEASURE_VALUES_MAX: Final = 2_000
MEASURE_PARTIALS_MAX: Final = 8
IDENTITY_BYTES_MAX: Final = 255
NESTED_TRAIT_BYTES_MAX: Final = 8_192
MEASURE_TEXT_CHARS_MAX: Final = 100

# Event time
GRACE_MS: Final = 60_000
RETENTION_DAYS: Final = 92
CLOCK_SKEW_NOTED_MS: Final = 5 * 60_000
OVERDUE_COUNTED_MAX: Final = 1_000
"""Deadlines of a partition that are looked at to see how many are overdue."""
