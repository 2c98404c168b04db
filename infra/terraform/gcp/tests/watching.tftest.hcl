# Alarms, what they watch, and the dashboard.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "time" {
  override_during = plan
}

variables {
  project_id         = "my-project"
  region             = "europe-west1"
  package_path       = "tests/fixtures/package.zip"
  secret_id_prefixes = ["app-"]
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
    condition     = endswith(google_logging_metric.counters["deleted_secret"].filter, " AND protoPayload.resourceName=~\"^projects/[^/]+/secrets/(app-)\"")
    error_message = "The deletion of somebody else's secret rings no alarm."
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

run "beside_another_deployment" {
  command = plan

  variables {
    name               = "other-kms"
    secret_id_prefixes = []
    all_secrets        = true
  }

  assert {
    condition = alltrue(concat(
      [for metric in concat(values(google_logging_metric.counters), values(google_logging_metric.distributions)) : startswith(metric.name, "other-kms/")],
      [for alarm in output.alarm_names : startswith(alarm, "other-kms-")],
      flatten([for alarm in google_monitoring_alert_policy.this : [for condition in alarm.conditions : strcontains(condition.condition_threshold[0].filter, "user/other-kms/")]]),
      [google_monitoring_dashboard.this.project == "my-project" && jsondecode(google_monitoring_dashboard.this.dashboard_json).displayName == "other-kms"],
    ))
    error_message = "What is watched carries the deployment's name."
  }

  assert {
    condition = alltrue(concat(
      [for account in google_service_account.this : startswith(account.account_id, "other-kms-")],
      [for role in google_project_iam_custom_role.this : startswith(role.role_id, "other_kms_")],
      [for function in google_cloudfunctions2_function.this : startswith(function.name, "other-kms-")],
      [google_cloud_scheduler_job.run.name == "other-kms-run", google_pubsub_topic.secrets[0].name == "other-kms-secrets"],
      [google_storage_bucket.audit.name == "my-project-other-kms-audit", google_storage_bucket.source.name == "my-project-other-kms-source"],
    ))
    error_message = "Nothing of two deployments in a project has the same name."
  }

  assert {
    condition     = endswith(google_logging_metric.counters["deleted_secret"].filter, "protoPayload.methodName:\"DeleteSecret\"")
    error_message = "Where every secret is ours, the deletion of any rings the alarm."
  }
}
