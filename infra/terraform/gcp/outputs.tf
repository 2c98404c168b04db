output "audit_url" {
  description = "DAENA_KMS_AUDIT_URL for everybody who rotates in this project."
  value       = local.audit_url
}

output "kms_key_names" {
  description = "GCP_KMS_KEY_NAMES for whoever creates keys."
  value       = join(",", var.kms_key_names)
}

output "function_names" {
  description = "Names of the functions, by what they do."
  value       = { for name, function in google_cloudfunctions2_function.this : name => function.name }
}

output "service_accounts" {
  description = "Addresses of the service accounts, by what they do."
  value       = { for name, account in google_service_account.this : name => account.email }
}

output "scheduler_job" {
  description = "Name of the job that starts the runs."
  value       = google_cloud_scheduler_job.run.name
}

output "http_url" {
  description = "Address of the HTTP API, or null without one. Requests carry an identity token for it."
  value       = one([for name, function in google_cloudfunctions2_function.this : function.service_config[0].uri if name == "http"])
}

output "secrets_topic" {
  description = "Topic to set on secrets with a rotation period, or null without events."
  value       = one(google_pubsub_topic.secrets[*].id)
}

output "alarm_names" {
  description = "Names of the alarms, each described in docs/ALARMS.md."
  value = sort(concat(
    [for alarm in google_monitoring_alert_policy.this : alarm.display_name],
    [google_monitoring_alert_policy.no_run.display_name, google_monitoring_alert_policy.overdue.display_name],
    google_monitoring_alert_policy.undelivered[*].display_name,
  ))
}
