# Custom roles with exactly what is called: infra/permissions/gcp.json.

locals {
  role_prefix = replace(var.name, "-", "_")

  roles = {
    list = {
      title       = "find keys"
      permissions = ["secretmanager.secrets.list"]
    }
    rotate = {
      title = "rotate keys"
      permissions = [
        "secretmanager.secrets.get", "secretmanager.secrets.update", "secretmanager.versions.add",
        "secretmanager.versions.destroy", "secretmanager.versions.disable", "secretmanager.versions.get",
        "secretmanager.versions.list",
      ]
    }
    change = {
      title       = "roll back keys"
      permissions = ["secretmanager.versions.access"]
    }
    log = {
      title       = "add to the audit log"
      permissions = ["storage.objects.create", "storage.objects.get", "storage.objects.list"]
    }
    audit_secrets = {
      title       = "look at keys"
      permissions = ["secretmanager.secrets.get", "secretmanager.secrets.list", "secretmanager.versions.list"]
    }
    audit_log = {
      title       = "read the audit log"
      permissions = ["storage.objects.get", "storage.objects.list"]
    }
  }
}

resource "google_project_iam_custom_role" "this" {
  for_each = local.roles

  project     = var.project_id
  role_id     = "${local.role_prefix}_${each.key}"
  title       = "${var.name}: ${each.value.title}"
  permissions = each.value.permissions
}

# Listing is a matter of the whole project.
resource "google_project_iam_member" "list" {
  for_each = local.rotating

  project = var.project_id
  role    = google_project_iam_custom_role.this["list"].id
  member  = each.value
}

resource "google_project_iam_member" "rotate" {
  for_each = local.rotating

  project = var.project_id
  role    = google_project_iam_custom_role.this["rotate"].id
  member  = each.value

  dynamic "condition" {
    for_each = local.named_secrets == "" ? [] : [local.named_secrets]

    content {
      title      = "named secrets"
      expression = condition.value
    }
  }
}

resource "google_project_iam_member" "change" {
  count = var.http_enabled && var.http_changes ? 1 : 0

  project = var.project_id
  role    = google_project_iam_custom_role.this["change"].id
  member  = google_service_account.this["api"].member

  dynamic "condition" {
    for_each = local.named_secrets == "" ? [] : [local.named_secrets]

    content {
      title      = "named secrets"
      expression = condition.value
    }
  }
}

resource "google_storage_bucket_iam_member" "log" {
  for_each = local.rotating

  bucket = google_storage_bucket.audit.name
  role   = google_project_iam_custom_role.this["log"].id
  member = each.value
}

resource "google_project_iam_member" "audit" {
  project = var.project_id
  role    = google_project_iam_custom_role.this["audit_secrets"].id
  member  = google_service_account.this["auditor"].member
}

resource "google_storage_bucket_iam_member" "audit" {
  bucket = google_storage_bucket.audit.name
  role   = google_project_iam_custom_role.this["audit_log"].id
  member = google_service_account.this["auditor"].member
}

# The webhook's secret is read by the platform, in the name of the function.
resource "google_secret_manager_secret_iam_member" "endpoint" {
  for_each = var.endpoint_secret == null ? {} : local.rotating

  project   = var.project_id
  secret_id = var.endpoint_secret
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}
