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

# The agent exists once `gcloud beta services identity create --service=secretmanager.googleapis.com`
# was run: docs/DEPLOY.md.
resource "google_pubsub_topic_iam_member" "secret_manager" {
  count = var.events_enabled ? 1 : 0

  project = var.project_id
  topic   = google_pubsub_topic.secrets[0].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-secretmanager.iam.gserviceaccount.com"
}
