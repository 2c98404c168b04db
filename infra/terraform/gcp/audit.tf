locals {
  audit_bucket = coalesce(var.audit_bucket_name, "${var.project_id}-${var.name}-audit")
  audit_url    = "gs://${local.audit_bucket}"
}

resource "google_storage_bucket" "audit" {
  #checkov:skip=CKV_GCP_62:who reads the log is in Cloud Audit Logs where the owner asks for it
  #checkov:skip=CKV_GCP_78:a retention policy and versions exclude each other; nothing can be overwritten here

  project                     = var.project_id
  name                        = local.audit_bucket
  location                    = var.region
  labels                      = var.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  retention_policy {
    retention_period = var.audit_retention_days * 24 * 3600
    is_locked        = var.audit_retention_locked
  }

  depends_on = [google_project_service.this]
}

# Who read and who wrote which secret, in Cloud Logging. Alarms on refused calls live on it.
resource "google_project_iam_audit_config" "secrets" {
  count = length(var.audited_log_types) > 0 ? 1 : 0

  project = var.project_id
  service = "secretmanager.googleapis.com"

  dynamic "audit_log_config" {
    for_each = toset(var.audited_log_types)

    content {
      log_type = audit_log_config.value
    }
  }
}
