# Who acts: the rotator rotates, the API answers (and may be allowed more), the scheduler and the
# events only call, the auditor only looks.

locals {
  accounts = { for name, about in {
    rotator   = "Rotates the keys that are due."
    api       = "Answers the HTTP API."
    scheduler = "Starts the runs."
    events    = "Hands over Secret Manager's notifications."
    auditor   = "Reads the audit log and the secrets' metadata, never a value."
    } : name => about
    if(name != "api" || var.http_enabled) && (name != "events" || var.events_enabled)
  }

  rotating = { for name in ["rotator", "api"] : name => google_service_account.this[name].member if name != "api" || var.http_enabled }

  # In conditions, resources are named by the project's number.
  secrets_path = join("/", concat(
    ["projects/${data.google_project.this.number}"],
    var.secret_location == null ? [] : ["locations/${var.secret_location}"],
    ["secrets"],
  ))
  named_secrets = join(" || ", [for prefix in var.secret_id_prefixes : "resource.name.startsWith(\"${local.secrets_path}/${prefix}\")"])
}

resource "google_service_account" "this" {
  for_each = local.accounts

  project      = var.project_id
  account_id   = "${var.name}-${each.key}"
  display_name = "${var.name}: ${each.key}"
  description  = each.value
}

resource "google_service_account_iam_member" "auditors" {
  for_each = toset(var.auditors)

  service_account_id = google_service_account.this["auditor"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value
}
