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
        "secretmanager.versions.disable", "secretmanager.versions.get", "secretmanager.versions.list",
      ]
    }
    destroy = {
      title       = "destroy old versions of keys"
      permissions = ["secretmanager.versions.destroy"]
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

  depends_on = [google_project_service.this]
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
    for_each = local.named_secrets

    content {
      title      = "named secrets"
      expression = condition.value
    }
  }
}

# What is destroyed can't be had back, so whoever calls the API has no hand in it.
resource "google_project_iam_member" "destroy" {
  for_each = { for name, member in local.rotating : name => member if name == "rotator" || var.http_destroys }

  project = var.project_id
  role    = google_project_iam_custom_role.this["destroy"].id
  member  = each.value

  dynamic "condition" {
    for_each = local.named_secrets

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
    for_each = local.named_secrets

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
  for_each = local.has_endpoint_secret ? local.rotating : {}

  project   = var.project_id
  secret_id = var.endpoint_secret
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}

# The project's default account may have no role, or that of an editor.
resource "google_project_iam_member" "builder" {
  count = local.own_builder ? 1 : 0

  project = var.project_id
  role    = "roles/cloudbuild.builds.builder"
  member  = google_service_account.this["builder"].member
}
