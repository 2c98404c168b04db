# Who acts: the rotator rotates, the API answers (and may be allowed more), the scheduler and the
# events only call, the auditor only looks, the builder makes functions of the package.

locals {
  accounts = { for name, about in {
    rotator   = "Rotates the keys that are due."
    api       = "Answers the HTTP API."
    scheduler = "Starts the runs."
    events    = "Hands over Secret Manager's notifications."
    auditor   = "Reads the audit log and the secrets' metadata, never a value."
    builder   = "Builds the functions."
    } : name => about
    if(name != "api" || var.http_enabled) && (name != "events" || var.events_enabled) && (name != "builder" || local.own_builder)
  }

  # Whether an account is made must be known when the other one's name is not yet.
  own_builder = var.create_build_service_account != null ? var.create_build_service_account : var.build_service_account == null

  rotating = { for name in ["rotator", "api"] : name => google_service_account.this[name].member if name != "api" || var.http_enabled }

  # In conditions, resources are named by the project's number.
  secrets_path = join("/", concat(
    ["projects/${data.google_project.this.number}"],
    var.secret_location == null ? [] : ["locations/${var.secret_location}"],
    ["secrets"],
  ))
  named_secrets = var.all_secrets ? [] : [join(" || ", [for prefix in var.secret_id_prefixes : "resource.name.startsWith(\"${local.secrets_path}/${prefix}\")"])]
}

resource "google_service_account" "this" {
  for_each = local.accounts

  project      = var.project_id
  account_id   = "${var.name}-${each.key}"
  display_name = "${var.name}: ${each.key}"
  description  = each.value

  depends_on = [google_project_service.this]
}

resource "google_service_account_iam_member" "auditors" {
  for_each = merge({ for member in var.auditors : member => member }, { for name, member in var.auditor_members : "auditor ${name}" => member })

  service_account_id = google_service_account.this["auditor"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value
}
