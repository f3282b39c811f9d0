"""The trial segments and the lifecycle group, written down from the contract's table, as the model's own copy.

The engine's built-in catalogs are another copy, made by other hands; comparing the two is a test by itself.
"""

from typing import Any

import yaml

from tests.model.catalog import merge

_TRIAL_AND_LIFECYCLE = """
format: 1
name: trial-and-lifecycle
trial_days: 14
timezone: UTC
weights: {}
core_features: [report_created, dashboard_shared, integration_connected, export_run, alert_created, api_called]
signals: [subscription_started, subscription_cancelled, plan_changed, nps_answered, support_ticket_opened]
checklist:
  - {event: user_invited, count: 1}
  - {event: integration_connected, count: 1}
  - {event: report_created, count: 3}
value_event: report_created
segments:
  - id: new_trial
    when: stage == "trial" and since(signed_up_at) < 4
  - id: activated_trial
    when: stage == "trial" and activated
  - id: highly_engaged_trial
    when: stage == "trial" and activated and score(days=3) >= 10 and score(days=3) >= 2 * score(days=3, before=3)
    exit_when: stage != "trial" or score(days=3) < 1.2 * score(days=3, before=3)
  - id: expiring_trial
    when: stage == "trial" and until(trial_ends_at) <= 3
  - id: lapsed_activated_30
    when: stage == "expired" and activated and 30 <= since(trial_ends_at) < 60
  - id: lapsed_activated_60
    when: stage == "expired" and activated and 60 <= since(trial_ends_at) < 90
  - id: lapsed_activated_90
    when: stage == "expired" and activated and 90 <= since(trial_ends_at) < 120
  - id: churned
    group: lifecycle
    when: stage == "cancelled" or since(last_active_at) > 60
  - id: at_risk
    group: lifecycle
    when: >-
      (score(days=14, before=14) >= 10 and score(days=14) < 0.5 * score(days=14, before=14))
      or since(last_active_at) >= 21
    exit_when: score(days=14) >= 0.8 * score(days=14, before=14) and active_days(days=14) >= 2
  - id: champion
    group: lifecycle
    when: score(days=28) >= 50 and nps >= 9 and count("referral_sent", days=90) >= 1
    exit_when: score(days=28) < 30 or nps < 8
  - id: new
    group: lifecycle
    when: since(signed_up_at) < 30
  - id: established
    group: lifecycle
    when: since(signed_up_at) < 180
  - id: mature
    group: lifecycle
    when: "True"
"""

_OSS = """
name: oss
core_features: [code_changed, test_added, docs_edited, dependency_updated, config_changed, ci_configured]
checklist:
  - {event: code_changed, count: 3}
  - {event: test_added, count: 1}
  - {event: docs_edited, count: 1}
value_event: code_changed
"""

TRIAL_AND_LIFECYCLE: dict[str, Any] = yaml.safe_load(_TRIAL_AND_LIFECYCLE)
OSS_TRIAL_AND_LIFECYCLE: dict[str, Any] = merge(TRIAL_AND_LIFECYCLE, yaml.safe_load(_OSS))
