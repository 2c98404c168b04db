# Names, schedules, encryption, retention and settings.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "google" {
  alias  = "later"
  source = "./tests/mocks"
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

run "functions" {
  command = plan

  variables {
    labels = { team = "platform" }
  }

  assert {
    condition     = [for function in google_cloudfunctions2_function.this : function.name] == ["daena-kms-event", "daena-kms-http", "daena-kms-scheduled"]
    error_message = "Functions are named for the deployment."
  }

  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.this : function.build_config[0].runtime == "python313"])
    error_message = "Functions run on Python 3.13."
  }

  assert {
    condition     = { for name, function in google_cloudfunctions2_function.this : name => function.build_config[0].entry_point } == { event = "secret_event", http = "http", scheduled = "scheduled" }
    error_message = "Each function has its own entry."
  }

  assert {
    condition     = google_cloudfunctions2_function.this["scheduled"].service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY" && google_cloudfunctions2_function.this["event"].service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"
    error_message = "What Google alone calls is open to Google alone."
  }

  assert {
    condition     = google_cloudfunctions2_function.this["scheduled"].service_config[0].timeout_seconds == 540 && google_cloudfunctions2_function.this["scheduled"].service_config[0].max_instance_count == 1
    error_message = "A run has nine minutes, and no other beside it."
  }

  assert {
    condition = google_cloudfunctions2_function.this["scheduled"].service_config[0].environment_variables == tomap({
      DAENA_CLOUD_KMS_PROVIDER = "gcp"
      GCP_PROJECT_ID           = "my-project"
      GCP_INVOKER_IAM_CHECK    = "true"
      DAENA_KMS_AUDIT_URL      = "gs://my-project-daena-kms-audit"
      DAENA_KMS_MIN_INTERVAL   = "10m"
      DAENA_KMS_PAUSED         = "false"
    })
    error_message = "By default the environment says where things are, and that IAM decides who calls."
  }

  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.this : function.build_config[0].service_account == google_service_account.this["builder"].name && function.service_config[0].vpc_connector_egress_settings == null])
    error_message = "Functions are built by an account of our own, and are in no network."
  }

  assert {
    condition     = length(setsubtract(["cloudbuild", "cloudfunctions", "cloudkms", "cloudscheduler", "eventarc", "iam", "iamcredentials", "run", "secretmanager"], keys(google_project_service.this))) == 0
    error_message = "What is used is switched on."
  }

  assert {
    condition     = google_cloudfunctions2_function.this["event"].event_trigger[0].retry_policy == "RETRY_POLICY_RETRY" && google_cloudfunctions2_function.this["event"].event_trigger[0].event_type == "google.cloud.pubsub.topic.v1.messagePublished"
    error_message = "A notification that could not be handled comes again."
  }

  assert {
    condition     = alltrue([for labels in concat([for function in google_cloudfunctions2_function.this : function.labels], [google_storage_bucket.audit.labels, google_pubsub_topic.secrets[0].labels]) : labels == tomap({ team = "platform" })])
    error_message = "Every resource carries the labels."
  }
}

run "settings" {
  command = plan

  variables {
    rotate_after    = "30d"
    grace           = "never"
    destroy_after   = "30d"
    min_bits        = 128
    http_policy     = true
    min_interval    = "1h"
    paused          = true
    access          = "[{\"who\": \"*\", \"may\": [\"rotate\"]}]"
    endpoint        = "https://hooks.example.com/rotations"
    endpoint_allow  = ["hooks.internal", "10.0.0.7"]
    endpoint_secret = "webhook-secret"
    secret_location = "europe-west4"
    vpc_connector   = "projects/my-project/locations/europe-west1/connectors/c"
    schedule        = "0 */6 * * 1"
  }

  # On six days out of seven there is no run.
  expect_failures = [check.schedule]

  assert {
    condition     = google_cloudfunctions2_function.this["event"].service_config[0].vpc_connector == "projects/my-project/locations/europe-west1/connectors/c" && google_cloudfunctions2_function.this["event"].service_config[0].vpc_connector_egress_settings == "PRIVATE_RANGES_ONLY"
    error_message = "The functions reach private addresses through the connector."
  }

  assert {
    condition = alltrue([for name, value in {
      DAENA_KMS_ROTATE_AFTER   = "30d"
      DAENA_KMS_GRACE          = "never"
      DAENA_KMS_DESTROY_AFTER  = "30d"
      DAENA_KMS_MIN_BITS       = "128"
      DAENA_KMS_HTTP_POLICY    = "true"
      DAENA_KMS_MIN_INTERVAL   = "1h"
      DAENA_KMS_PAUSED         = "true"
      DAENA_KMS_ACCESS         = "[{\"who\": \"*\", \"may\": [\"rotate\"]}]"
      DAENA_KMS_ENDPOINT       = "https://hooks.example.com/rotations"
      DAENA_KMS_ENDPOINT_ALLOW = "hooks.internal,10.0.0.7"
      GCP_LOCATION             = "europe-west4"
    } : google_cloudfunctions2_function.this["http"].service_config[0].environment_variables[name] == value])
    error_message = "Every setting reaches the functions under its own name."
  }

  assert {
    condition     = [for secret in google_cloudfunctions2_function.this["scheduled"].service_config[0].secret_environment_variables : [secret.key, secret.secret]] == [["DAENA_KMS_ENDPOINT_SECRET", "webhook-secret"]]
    error_message = "The webhook's secret is a reference that the platform follows."
  }

  assert {
    condition     = google_secret_manager_secret_iam_member.endpoint["rotator"].secret_id == "webhook-secret"
    error_message = "The function may read that one secret."
  }
}

run "less" {
  command = plan

  variables {
    http_enabled      = false
    events_enabled    = false
    enable_apis       = false
    audited_log_types = []

    create_service_identities = false
  }

  assert {
    condition     = keys(google_cloudfunctions2_function.this) == ["scheduled"] && output.http_url == null && output.secrets_topic == null
    error_message = "Without the API and the events there is the schedule alone."
  }

  assert {
    condition     = keys(google_service_account.this) == ["auditor", "builder", "rotator", "scheduler"]
    error_message = "Nobody has an account without a use."
  }

  assert {
    condition     = length(terraform_data.service_identities) == 0
    error_message = "Google's own accounts are left to whoever makes them by hand."
  }

  assert {
    condition     = length(google_project_service.this) == 0 && length(google_project_iam_audit_config.secrets) == 0
    error_message = "What others own is left alone."
  }
}

run "schedule" {
  command = plan

  variables {
    schedule              = "0 3,9,14 * * *"
    time_zone             = "Europe/Berlin"
    expected_within_hours = 23
  }

  expect_failures = [check.schedule]

  assert {
    condition     = local.longest_interval == 13
    error_message = "From 14 to 3 o'clock there are 13 hours without a run."
  }

  assert {
    condition     = google_cloud_scheduler_job.run.schedule == "0 3,9,14 * * *" && google_cloud_scheduler_job.run.time_zone == "Europe/Berlin"
    error_message = "The schedule is the one asked for."
  }

  assert {
    condition     = google_cloud_scheduler_job.run.http_target[0].oidc_token[0].service_account_email == google_service_account.this["scheduler"].email && google_cloud_scheduler_job.run.http_target[0].http_method == "POST"
    error_message = "The job calls with an identity token of its own account."
  }

  assert {
    condition     = base64decode(google_cloud_scheduler_job.run.http_target[0].body) == "{}" && google_cloud_scheduler_job.run.retry_config[0].retry_count == 2
    error_message = "The job sends an object that the function knows, and tries again."
  }
}

run "audit_bucket" {
  command = plan

  variables {
    audit_retention_days   = 30
    audit_retention_locked = true
  }

  assert {
    condition     = tostring(google_storage_bucket.audit.retention_policy[0].retention_period) == "2592000" && google_storage_bucket.audit.retention_policy[0].is_locked
    error_message = "Every object is kept as long as asked for."
  }

  assert {
    condition     = google_storage_bucket.audit.uniform_bucket_level_access && google_storage_bucket.audit.public_access_prevention == "enforced"
    error_message = "IAM alone decides, and nothing can be public."
  }

  assert {
    condition     = sort([for config in google_project_iam_audit_config.secrets[0].audit_log_config : config.log_type]) == tolist(["ADMIN_READ", "DATA_READ", "DATA_WRITE"]) && google_project_iam_audit_config.secrets[0].service == "secretmanager.googleapis.com"
    error_message = "Who reads and writes secrets is logged."
  }
}

run "project_of_a_domain" {
  command = plan

  variables {
    project_id                = "example.com:my-project"
    name                      = "a-name-of-18-chars"
    create_service_identities = false
  }

  assert {
    condition     = output.audit_url == "gs://example-com-my-project-a-name-of-18-chars-audit" && google_storage_bucket.source.name == "example-com-my-project-a-name-of-18-chars-source"
    error_message = "A bucket's name has neither a colon nor a dot."
  }

  assert {
    condition     = length(google_project_iam_custom_role.this["audit_secrets"].role_id) <= 64 && alltrue([for account in google_service_account.this : length(account.account_id) <= 30])
    error_message = "The longest name makes no name too long."
  }
}

run "project_of_a_long_domain" {
  command = plan

  variables {
    project_id = "a-domain.with-a-long-name.example.com:my-project-with-a-long-name"
    name       = "a-name-of-18-chars"
  }

  assert {
    condition     = alltrue([for bucket in [google_storage_bucket.audit, google_storage_bucket.source] : can(regex("^a-domain-with-a-long-name-[a-z-]+-[0-9a-f]{6}-a-name-of-18-chars-(audit|source)$", bucket.name)) && length(bucket.name) <= 63])
    error_message = "A bucket's name has at most 63 characters, and is the project's own."
  }
}

# Without values that are made up at the plan already.
run "computed_beside_it" {
  command = plan

  module {
    source = "./tests/fixtures/computed"
  }

  providers = {
    google = google.later
    time   = time
  }

  assert {
    condition     = output.function_names["scheduled"] == "daena-kms-scheduled"
    error_message = "What is computed in the same configuration can be planned."
  }
}
