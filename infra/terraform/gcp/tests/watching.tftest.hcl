# Alarms, what they watch, and the dashboard.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  project_id   = "my-project"
  region       = "europe-west1"
  package_path = "tests/fixtures/package.zip"
}

run "alarms" {
  command = plan

  variables {
    notification_channels = ["projects/my-project/notificationChannels/1"]
    kms_key_names         = ["projects/my-project/locations/global/keyRings/r/cryptoKeys/k"]
  }

  assert {
    condition = output.alarm_names == tolist([
      "daena-kms-key-material", "daena-kms-no-run", "daena-kms-overdue", "daena-kms-run-failed", "daena-kms-throttled",
      "daena-kms-unauthorised", "daena-kms-undelivered",
    ])
    error_message = "There is an alarm for each thing that can go wrong."
  }

  assert {
    condition = alltrue([for alarm in concat(values(google_monitoring_alert_policy.this), [google_monitoring_alert_policy.no_run, google_monitoring_alert_policy.overdue], google_monitoring_alert_policy.undelivered) :
      tolist(alarm.notification_channels) == tolist(["projects/my-project/notificationChannels/1"]) && strcontains(alarm.documentation[0].content, "docs/ALARMS.md")
    ])
    error_message = "Every alarm notifies and says where to read on."
  }

  assert {
    condition     = google_monitoring_alert_policy.no_run.conditions[0].condition_absent[0].duration == "10800s"
    error_message = "Silence is what this alarm is about."
  }

  assert {
    condition     = google_monitoring_alert_policy.overdue.conditions[0].condition_threshold[0].duration == "0s" && google_monitoring_alert_policy.overdue.conditions[0].condition_threshold[0].aggregations[0].alignment_period == "10800s"
    error_message = "One period holds all runs of these hours: no minute without a run quiets the alarm."
  }

  assert {
    condition     = google_logging_metric.distributions["overdue"].value_extractor == "EXTRACT(jsonPayload.counts.overdue)" && strcontains(google_monitoring_alert_policy.overdue.conditions[0].condition_threshold[0].filter, "user/daena-kms/run_overdue")
    error_message = "What is overdue comes from the line that each run logs."
  }

  assert {
    condition = alltrue([for filter in [
      google_monitoring_alert_policy.overdue.conditions[0].condition_threshold[0].filter, google_monitoring_alert_policy.no_run.conditions[0].condition_absent[0].filter,
    ] : strcontains(filter, "service_name=\"daena-kms-scheduled\"")])
    error_message = "Runs of one key for an event quiet neither alarm."
  }

  assert {
    condition     = strcontains(google_logging_metric.counters["failed_runs"].filter, "jsonPayload.ok=false")
    error_message = "Counts come from the line that each run logs."
  }

  assert {
    condition     = strcontains(google_logging_metric.counters["kms_key"].filter, "projects/my-project/locations/global/keyRings/r/cryptoKeys/k") && strcontains(google_logging_metric.counters["kms_key"].filter, "DestroyCryptoKeyVersion")
    error_message = "The KMS keys that were named are watched."
  }

  assert {
    condition     = length(google_monitoring_alert_policy.this["key-material"].conditions) == 2
    error_message = "Secrets that are deleted and KMS keys that are disabled ring one alarm."
  }
}

run "without_kms" {
  command = plan

  assert {
    condition     = length(google_monitoring_alert_policy.this["key-material"].conditions) == 1 && !contains(keys(google_logging_metric.counters), "kms_key")
    error_message = "Without KMS keys of one's own only secrets are watched."
  }
}

run "dashboard" {
  command = plan

  assert {
    condition     = length(jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles) == 5
    error_message = "The dashboard has five charts."
  }

  assert {
    condition = length(setsubtract(
      flatten([for tile in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles : [for set in tile.widget.xyChart.dataSets : set.legendTemplate]]),
      keys(google_logging_metric.distributions),
    )) == 0
    error_message = "What is drawn is measured."
  }
}
