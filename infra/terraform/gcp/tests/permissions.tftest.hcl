# Who may do what, with a provider that makes nothing.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "time" {
  override_during = plan
}

variables {
  project_id         = "my-project"
  region             = "europe-west1"
  package_path       = "tests/fixtures/package.zip"
  secret_id_prefixes = ["app-"]
}

run "roles" {
  command = plan

  assert {
    condition = sort(google_project_iam_custom_role.this["rotate"].permissions) == tolist([
      "secretmanager.secrets.get", "secretmanager.secrets.update", "secretmanager.versions.add",
      "secretmanager.versions.disable", "secretmanager.versions.get", "secretmanager.versions.list",
    ])
    error_message = "Who rotates may do exactly what a run calls, and read no value."
  }

  assert {
    condition     = tolist(google_project_iam_custom_role.this["log"].permissions) == tolist(["storage.objects.create", "storage.objects.get", "storage.objects.list"])
    error_message = "The log is added to and read, never changed."
  }

  assert {
    condition = alltrue(flatten([for role in google_project_iam_custom_role.this : [
      for permission in role.permissions : !can(regex("delete|setIamPolicy|\\*", permission))
    ]]))
    error_message = "No role deletes, gives permissions, or has a wildcard."
  }

  assert {
    condition     = !contains(flatten([google_project_iam_custom_role.this["audit_secrets"].permissions]), "secretmanager.versions.access")
    error_message = "The auditor reads no value."
  }

  assert {
    condition     = alltrue([for role in google_project_iam_custom_role.this : startswith(role.role_id, "daena_kms_")])
    error_message = "Roles are named for the deployment."
  }
}

run "accounts" {
  command = plan

  assert {
    condition     = keys(google_service_account.this) == ["api", "auditor", "builder", "events", "rotator", "scheduler"]
    error_message = "Each who acts has an account of its own."
  }

  assert {
    condition     = google_service_account.this["rotator"].account_id == "daena-kms-rotator"
    error_message = "Accounts are named for what they do."
  }

  assert {
    condition     = keys(google_project_iam_member.destroy) == ["rotator"] && tolist(google_project_iam_custom_role.this["destroy"].permissions) == tolist(["secretmanager.versions.destroy"])
    error_message = "The schedule destroys, the API does not."
  }

  assert {
    condition = alltrue([for member in concat(values(google_project_iam_member.rotate), values(google_project_iam_member.destroy)) :
      member.condition[0].expression == "resource.name.startsWith(\"projects/123456789012/secrets/app-\")"
    ])
    error_message = "What changes a secret is allowed on named ones alone."
  }

  assert {
    condition     = google_project_iam_member.builder[0].role == "roles/cloudbuild.builds.builder" && google_project_iam_member.builder[0].member == google_service_account.this["builder"].member
    error_message = "An account of our own builds the functions."
  }

  assert {
    condition     = length(google_project_iam_member.change) == 0
    error_message = "Without http_changes nobody can read a value."
  }

  assert {
    condition     = keys(google_storage_bucket_iam_member.log) == ["api", "rotator"] && alltrue([for member in google_storage_bucket_iam_member.log : member.bucket == "my-project-daena-kms-audit"])
    error_message = "The log's role holds for its bucket alone."
  }

  assert {
    condition     = keys(google_cloud_run_v2_service_iam_member.callers) == ["events", "scheduler"]
    error_message = "Nobody but the schedule and the events calls a function."
  }

  assert {
    condition     = google_cloud_run_v2_service_iam_member.callers["scheduler"].name == "daena-kms-scheduled" && google_cloud_run_v2_service_iam_member.callers["scheduler"].role == "roles/run.invoker"
    error_message = "The scheduler may call the one function."
  }

  assert {
    condition     = google_pubsub_topic_iam_member.secret_manager[0].member == "serviceAccount:service-123456789012@gcp-sa-secretmanager.iam.gserviceaccount.com" && google_pubsub_topic_iam_member.secret_manager[0].role == "roles/pubsub.publisher"
    error_message = "Secret Manager publishes to the topic."
  }
}

run "named_secrets" {
  command = plan

  variables {
    secret_id_prefixes = ["billing-", "app-key"]
  }

  assert {
    condition     = google_project_iam_member.rotate["rotator"].condition[0].expression == "resource.name.startsWith(\"projects/123456789012/secrets/billing-\") || resource.name.startsWith(\"projects/123456789012/secrets/app-key\")"
    error_message = "Changes are allowed on the named secrets alone."
  }

  assert {
    condition     = length(google_project_iam_member.list["rotator"].condition) == 0
    error_message = "Listing is of the whole project."
  }
}

run "regional_secrets" {
  command = plan

  variables {
    secret_id_prefixes = ["billing-"]
    secret_location    = "europe-west4"
    http_changes       = true
    http_destroys      = true
  }

  assert {
    condition     = google_project_iam_member.change[0].condition[0].expression == "resource.name.startsWith(\"projects/123456789012/locations/europe-west4/secrets/billing-\")"
    error_message = "Regional secrets have a location in their names, and values are read of named ones alone."
  }

  assert {
    condition     = google_project_iam_member.destroy["api"].condition[0].expression == google_project_iam_member.change[0].condition[0].expression
    error_message = "Where the API may destroy, it is named secrets alone."
  }
}

run "all_secrets" {
  command = plan

  variables {
    secret_id_prefixes = []
    all_secrets        = true
  }

  assert {
    condition     = length(google_project_iam_member.rotate["rotator"].condition) == 0
    error_message = "Who asks for every secret gets every secret."
  }
}

run "callers" {
  command = plan

  variables {
    http_callers        = ["group:on-call@example.com"]
    http_caller_members = { pipeline = "serviceAccount:pipeline@example.com" }
    auditors            = ["user:auditor@example.com"]
    auditor_members     = { archive = "serviceAccount:archive@example.com" }
  }

  assert {
    condition     = google_cloud_run_v2_service_iam_member.callers["caller pipeline"].member == "serviceAccount:pipeline@example.com" && google_cloud_run_v2_service_iam_member.callers["caller pipeline"].name == "daena-kms-http"
    error_message = "So may those whose names are computed."
  }

  assert {
    condition     = google_service_account_iam_member.auditors["auditor archive"].member == "serviceAccount:archive@example.com"
    error_message = "Computed auditors act as the auditor's account, too."
  }

  assert {
    condition     = google_cloud_run_v2_service_iam_member.callers["group:on-call@example.com"].name == "daena-kms-http"
    error_message = "Callers of the API may call the API alone."
  }

  assert {
    condition     = google_service_account_iam_member.auditors["user:auditor@example.com"].role == "roles/iam.serviceAccountTokenCreator"
    error_message = "Auditors act as the auditor's account, without a key of it."
  }
}
