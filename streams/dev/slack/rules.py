"""What Slack refuses of a payload, in Slack's own words."""

from collections.abc import Callable
from typing import Any, Final

TEXT_CHARS_MAX: Final = 40_000
BLOCKS_MAX: Final = 50
ATTACHMENTS_MAX: Final = 100
SECTION_CHARS_MAX: Final = 3_000
FIELDS_MAX: Final = 10
FIELD_CHARS_MAX: Final = 2_000
HEADER_CHARS_MAX: Final = 150
ELEMENTS_MAX: Final = 10
ID_CHARS_MAX: Final = 255
BUTTONS_MAX: Final = 25
BUTTON_CHARS_MAX: Final = 75
URL_CHARS_MAX: Final = 3_000
BLOCKS_CHARS_MAX: Final = 13_200
BLOCK_TYPES: Final = frozenset({"section", "header", "context", "divider", "image", "actions", "rich_text", "markdown"})


def refusal(payload: Any) -> str | None:
    """The word with which Slack refuses it, or None."""
    if not isinstance(payload, dict):
        return "invalid_payload"
    text, blocks, attachments = payload.get("text"), payload.get("blocks"), payload.get("attachments")
    if not isinstance(text, str | None):
        return "invalid_payload"
    if len(text or "") > TEXT_CHARS_MAX:
        return "msg_too_long"
    if isinstance(attachments, list) and len(attachments) > ATTACHMENTS_MAX:
        return "too_many_attachments"
    if blocks is not None:
        if not _blocks_are_valid(blocks):
            return "invalid_blocks"
        if sum(len(text) for text in texts_of(blocks)) > BLOCKS_CHARS_MAX:
            return "msg_blocks_too_long"
    return None if text or blocks or attachments else "no_text"


def texts_of(blocks: list[Any]) -> list[str]:
    """Every text in the blocks, in the order in which they are read."""
    found: list[str] = []
    for block in blocks:
        parts = [block.get("text"), *_list(block.get("fields")), *_list(block.get("elements"))]
        parts += [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), dict)]
        found += [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return found


def _blocks_are_valid(blocks: Any) -> bool:
    if not isinstance(blocks, list) or len(blocks) > BLOCKS_MAX:
        return False
    ids = [block.get("block_id") for block in blocks if isinstance(block, dict) and "block_id" in block]
    return (
        len(set(map(str, ids))) == len(ids)
        and all(isinstance(name, str) and 0 < len(name) <= ID_CHARS_MAX for name in ids)
        and all(_block_is_valid(block) for block in blocks)
    )


def _block_is_valid(block: Any) -> bool:
    if not isinstance(block, dict) or block.get("type") not in BLOCK_TYPES:
        return False
    match block["type"]:
        case "header":
            return _is_text(block.get("text"), HEADER_CHARS_MAX, ("plain_text",))
        case "section":
            return _section_is_valid(block)
        case "context":
            return _are(block.get("elements"), ELEMENTS_MAX, _element_is_valid)
        case "actions":
            return _actions_are_valid(block.get("elements"))
        case _:
            return True


def _section_is_valid(block: dict[str, Any]) -> bool:
    text, fields = block.get("text"), block.get("fields")
    if text is None and fields is None:
        return False
    return (text is None or _is_text(text, SECTION_CHARS_MAX)) and (
        fields is None or _are(fields, FIELDS_MAX, lambda field: _is_text(field, FIELD_CHARS_MAX))
    )


def _actions_are_valid(elements: Any) -> bool:
    if not _are(elements, BUTTONS_MAX, lambda element: isinstance(element, dict)):
        return False
    ids = [element["action_id"] for element in elements if "action_id" in element]
    return (
        len(set(map(str, ids))) == len(ids)
        and all(isinstance(name, str) and 0 < len(name) <= ID_CHARS_MAX for name in ids)
        and all(_button_is_valid(element) for element in elements if element.get("type") == "button")
    )


def _button_is_valid(button: dict[str, Any]) -> bool:
    url = button.get("url", "https://")
    return _is_text(button.get("text"), BUTTON_CHARS_MAX, ("plain_text",)) and (
        isinstance(url, str) and len(url) <= URL_CHARS_MAX and url.startswith(("https://", "http://"))
    )


def _element_is_valid(element: Any) -> bool:
    is_image = isinstance(element, dict) and element.get("type") == "image"
    return is_image or _is_text(element, FIELD_CHARS_MAX)


def _are(values: Any, most: int, valid: Callable[[Any], bool]) -> bool:
    return isinstance(values, list) and 0 < len(values) <= most and all(valid(value) for value in values)


def _is_text(value: Any, chars_max: int, types: tuple[str, ...] = ("plain_text", "mrkdwn")) -> bool:
    return (
        isinstance(value, dict)
        and value.get("type") in types
        and isinstance(value.get("text"), str)
        and 0 < len(value["text"]) <= chars_max
        and not (value["type"] == "plain_text" and "verbatim" in value)
        and not (value["type"] == "mrkdwn" and "emoji" in value)
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
