locals {
  # The hours at which a run begins, for the usual forms of the second field; null for the others.
  cron  = split(" ", var.schedule)
  field = try(local.cron[1], "")
  listed_hours = try(
    local.field == "*" ? range(24) : (
      can(regex("^\\*/[1-9][0-9]*$", local.field)) ? range(0, 24, tonumber(trimprefix(local.field, "*/"))) : (
        can(regex("^[0-9]+(,[0-9]+)*$", local.field)) ? [for hour in split(",", local.field) : tonumber(hour)] : null
      )
    ), null
  )
  hours = local.listed_hours == null ? [] : [for hour in range(24) : hour if contains(local.listed_hours, hour)]

  # The longest time between two runs, in hours; null where it is not known.
  longest_interval = length(local.hours) == 0 ? null : (
    join(" ", slice(local.cron, 2, 5)) != "* * *" ? 168 : max([
      for index, hour in local.hours : index + 1 < length(local.hours) ? local.hours[index + 1] - hour : local.hours[0] + 24 - hour
    ]...)
  )
}

# The alarm would ring where nothing is wrong.
check "schedule" {
  assert {
    condition     = local.longest_interval == null || try(var.expected_within_hours >= 2 * local.longest_interval, true)
    error_message = "The alarm no-run rings after ${var.expected_within_hours} hours without a run, and the schedule leaves up to ${coalesce(local.longest_interval, 0)} between two: raise expected_within_hours to twice that, or run more often."
  }
}

resource "google_cloud_scheduler_job" "run" {
  project          = var.project_id
  region           = var.region
  name             = "${var.name}-run"
  description      = "Starts a run; keys that are not due are left alone."
  schedule         = var.schedule
  time_zone        = var.time_zone
  attempt_deadline = "560s"

  retry_config {
    retry_count          = 2
    min_backoff_duration = "60s"
  }

  http_target {
    http_method = "POST"
    uri         = google_cloudfunctions2_function.this["scheduled"].service_config[0].uri
    body        = base64encode("{}")
    headers     = { "Content-Type" = "application/json" }

    oidc_token {
      service_account_email = google_service_account.this["scheduler"].email
      audience              = google_cloudfunctions2_function.this["scheduled"].service_config[0].uri
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.callers]
}

# Set this topic on a secret that has a rotation period: its reminders then start a rotation.
resource "google_pubsub_topic" "secrets" {
  #checkov:skip=CKV_GCP_83:a notification holds a secret's name and no value

  count = var.events_enabled ? 1 : 0

  project                    = var.project_id
  name                       = "${var.name}-secrets"
  labels                     = var.labels
  message_retention_duration = "86400s"

  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic_iam_member" "secret_manager" {
  count = var.events_enabled ? 1 : 0

  project = var.project_id
  topic   = google_pubsub_topic.secrets[0].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-secretmanager.iam.gserviceaccount.com"

  depends_on = [time_sleep.roles]
}
