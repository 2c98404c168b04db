# What is wrong is refused before anything is made.

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

run "names" {
  command = plan

  variables {
    project_id            = "My Project"
    region                = "Belgium"
    package_path          = "package.tar"
    name                  = "a-name-that-is-too-long"
    labels                = { Team = "platform" }
    audit_bucket_name     = "No.Bucket"
    build_service_account = "builder@example.com"
    vpc_connector         = "my-connector"
    vpc_egress            = "EVERYTHING"
  }

  expect_failures = [
    var.project_id, var.region, var.package_path, var.name, var.labels, var.audit_bucket_name,
    var.build_service_account, var.vpc_connector, var.vpc_egress,
  ]
}

run "label_of_keys" {
  command = plan

  variables {
    labels = { daena-managed = "true" }
  }

  expect_failures = [var.labels]
}

run "times" {
  command = plan

  variables {
    memory                = "128Mi"
    schedule              = "hourly"
    time_zone             = "CET"
    expected_within_hours = 24
    audit_retention_days  = 24856
  }

  expect_failures = [var.memory, var.schedule, var.time_zone, var.expected_within_hours, var.audit_retention_days]
}

run "members" {
  command = plan

  variables {
    http_callers          = ["allUsers"]
    http_caller_members   = { everybody = "allUsers" }
    auditors              = ["allAuthenticatedUsers"]
    auditor_members       = { everybody = "allAuthenticatedUsers" }
    notification_channels = ["me@example.com"]
    audited_log_types     = ["EVERYTHING"]
  }

  expect_failures = [
    var.http_callers, var.http_caller_members, var.auditors, var.auditor_members, var.notification_channels,
    var.audited_log_types,
  ]
}

run "secrets" {
  command = plan

  variables {
    secret_location    = "Europe"
    secret_id_prefixes = ["Billing"]
    kms_key_names      = ["my-key"]
    endpoint_secret    = "projects/p/secrets/s"
  }

  expect_failures = [var.secret_location, var.secret_id_prefixes, var.kms_key_names, var.endpoint_secret]
}

run "policy" {
  command = plan

  variables {
    rotate_after   = "90"
    grace          = "12h"
    destroy_after  = "soon"
    min_bits       = 0
    min_interval   = "soon"
    access         = "{}{"
    endpoint_allow = ["*.internal"]
    endpoint       = "http://hooks.example.com"
  }

  expect_failures = [
    var.rotate_after, var.grace, var.destroy_after, var.min_bits, var.min_interval, var.access, var.endpoint_allow, var.endpoint,
  ]
}

run "bits_beyond_every_spec" {
  command = plan

  variables {
    min_bits = 513
  }

  expect_failures = [var.min_bits]
}

run "bits_in_parts" {
  command = plan

  variables {
    min_bits = 111.5
  }

  expect_failures = [var.min_bits]
}

run "rules_without_a_deed" {
  command = plan

  variables {
    access = "[{\"who\": \"*\"}]"
  }

  expect_failures = [var.access]
}

run "every_secret_unasked" {
  command = plan

  variables {
    name               = "googled"
    audit_bucket_name  = "my-google-log"
    secret_id_prefixes = []
  }

  expect_failures = [var.name, var.audit_bucket_name, var.secret_id_prefixes]
}

run "some_secrets_and_every_secret" {
  command = plan

  variables {
    all_secrets = true
  }

  expect_failures = [var.secret_id_prefixes]
}
