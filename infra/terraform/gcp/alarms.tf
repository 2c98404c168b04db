# What to do when one rings is written in docs/ALARMS.md. Monitoring takes minutes to know a new
# metric, and refuses an alarm on it until then (google#11102): functions, which take minutes, too, come first.

locals {
  metric = { for name in keys(local.counters) : name => join("", [
    "metric.type=\"logging.googleapis.com/user/${var.name}/${name}\" AND resource.type=\"",
    name == "job_errors" ? "cloud_scheduler_job" : name == "kms_key" ? "cloudkms_cryptokeyversion" : (
      contains(["refused_calls", "throttled", "deleted_secret"], name) ? "audited_resource" : "cloud_run_revision"
    ),
    "\"",
  ]) }

  # A run of one key, for an event, says nothing of the others.
  scheduled_runs = "resource.labels.service_name=\"${var.name}-scheduled\""

  alarms = { for alarm, it in {
    run-failed = {
      about   = "A run failed, or a key failed in it."
      metrics = [local.metric.failed_runs, local.metric.job_errors]
    }
    throttled = {
      about   = "Secret Manager refused calls for their rate."
      metrics = [local.metric.throttled]
    }
    unauthorised = {
      about   = "A caller was refused, or a function of ours by Secret Manager."
      metrics = [local.metric.unauthorised, local.metric.refused_calls]
    }
    key-material = {
      about   = "A secret was deleted for good, or a KMS key's version was disabled or destroyed."
      metrics = concat([local.metric.deleted_secret], [for name, filter in local.metric : filter if name == "kms_key"])
    }
  } : alarm => it }
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alarms

  project               = var.project_id
  display_name          = "${var.name}-${each.key}"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  documentation {
    content   = "${each.value.about} What to do: docs/ALARMS.md, Google Cloud, ${each.key}."
    mime_type = "text/markdown"
  }

  dynamic "conditions" {
    for_each = each.value.metrics

    content {
      display_name = "${each.key} ${conditions.key}"

      condition_threshold {
        filter          = conditions.value
        comparison      = "COMPARISON_GT"
        threshold_value = 0
        duration        = "0s"

        aggregations {
          alignment_period     = "300s"
          per_series_aligner   = "ALIGN_SUM"
          cross_series_reducer = "REDUCE_SUM"
        }
      }
    }
  }

  depends_on = [google_logging_metric.counters, google_cloudfunctions2_function.this]
}

# The least that the scheduled runs of these hours have left overdue: up to twenty values, the fifth
# percentile lies in the lowest bucket that has one, and the bucket of zero ends below 1.
# cloud.google.com/monitoring/api/v3/distribution-metrics
resource "google_monitoring_alert_policy" "overdue" {
  project               = var.project_id
  display_name          = "${var.name}-overdue"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  documentation {
    content   = "Keys have been overdue in every run of ${var.expected_within_hours} hours, whether a run failed or not. What to do: docs/ALARMS.md, Google Cloud, overdue."
    mime_type = "text/markdown"
  }

  conditions {
    display_name = "overdue"

    condition_threshold {
      filter          = "metric.type=\"logging.googleapis.com/user/${var.name}/run_overdue\" AND resource.type=\"cloud_run_revision\" AND ${local.scheduled_runs}"
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "0s"

      aggregations {
        alignment_period     = "${var.expected_within_hours * 3600}s"
        per_series_aligner   = "ALIGN_PERCENTILE_05"
        cross_series_reducer = "REDUCE_MIN"
      }
    }
  }

  depends_on = [google_logging_metric.distributions, google_cloudfunctions2_function.this]
}

resource "google_monitoring_alert_policy" "no_run" {
  project               = var.project_id
  display_name          = "${var.name}-no-run"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  documentation {
    content   = "No run has come to its end for ${var.expected_within_hours} hours. What to do: docs/ALARMS.md, Google Cloud, no-run."
    mime_type = "text/markdown"
  }

  conditions {
    display_name = "no-run"

    condition_absent {
      filter   = "${local.metric.runs} AND ${local.scheduled_runs}"
      duration = "${var.expected_within_hours * 3600}s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  depends_on = [google_logging_metric.counters, google_cloudfunctions2_function.this]
}

# Google keeps what it could not deliver, and tries again for a day: there is no dead-letter topic.
resource "google_monitoring_alert_policy" "undelivered" {
  count = var.events_enabled ? 1 : 0

  project               = var.project_id
  display_name          = "${var.name}-undelivered"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  documentation {
    content   = "A notification of Secret Manager has not been handled for half an hour. What to do: docs/ALARMS.md, Google Cloud, undelivered."
    mime_type = "text/markdown"
  }

  conditions {
    display_name = "undelivered"

    condition_threshold {
      filter          = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=starts_with(\"eventarc-${var.region}-${var.name}-event\")"
      comparison      = "COMPARISON_GT"
      threshold_value = 1800
      duration        = "0s"

      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  depends_on = [google_project_service.this]
}
