locals {
  # The id of an organisation's project may begin with a domain (example.com:my-project), and a bucket's
  # name has neither a colon nor, unless the domain is verified, a dot. It has at most 63 characters.
  bucket_project = replace(replace(var.project_id, ":", "-"), ".", "-")
  bucket_names = { for what in ["audit", "source"] : what => (
    length("${local.bucket_project}-${var.name}-${what}") <= 63 ? "${local.bucket_project}-${var.name}-${what}" : (
      "${substr(local.bucket_project, 0, 29)}-${substr(sha256(var.project_id), 0, 6)}-${var.name}-${what}"
    )
  ) }

  audit_bucket = coalesce(var.audit_bucket_name, local.bucket_names.audit)
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

  # Another name, region or project, or a lock that is taken back, would replace it, and a destroy would
  # stop half-way. How to keep it and remove the rest: docs/DEPLOY.md.
  lifecycle {
    prevent_destroy = true
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
