"""Templates that every playbook has: messages about several accounts, for where it says nothing of its own.

A playbook that has a template of the same name has its own words instead.
"""

from typing import Final

from schemas.playbook import Template
from streams.notify.plan.destination import STANDARD_DIGEST, STANDARD_SUMMARY

STANDARD_LIST: Final = "standard-list"

_LINES: Final = """\
{% for item in items %}
• {{ item.name | bold }} {{ item.direction }}{{ " to" if item.direction == "moved" }} {{ item.segment | label }}
{%- if item.from_segment %} from {{ item.from_segment | label }}{% endif %}, {{ item.effective_at | time }}
{%- if item.evidence | why %}: {{ item.evidence | why }}{% endif %}

{% endfor %}
{% if more %}
… and {{ more }} more.
{% endif %}
"""

STANDARD: Final = {
    STANDARD_DIGEST: Template(
        title='{{ total }} changes: {{ items | map(attribute="segment") | unique | map("label") | join(", ") }}',
        body=_LINES,
    ),
    STANDARD_SUMMARY: Template(
        title="{{ total }} {{ 'message' if total == 1 else 'messages' }} over the day's budget",
        body=_LINES,
    ),
    STANDARD_LIST: Template(
        title="{{ segment | label }}: {{ total }} {{ 'account' if total == 1 else 'accounts' }}",
        body="""\
{% for item in items %}
{{ loop.index }}. {{ item.name | bold }}, since {{ item.entered_at | day }}
{%- if item.evidence | why %}: {{ item.evidence | why }}{% endif %}

{% endfor %}
{% if more %}
… and {{ more }} more.
{% endif %}
{% if since_last.came %}
New: {{ since_last.came[:20] | join(", ") }}{{ " …" if since_last.came | length > 20 }}
{% endif %}
{% if since_last.went %}
Gone: {{ since_last.went[:20] | join(", ") }}{{ " …" if since_last.went | length > 20 }}
{% endif %}
""",
    ),
}
