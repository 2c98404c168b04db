mock_provider "google" {
  source          = "../../gcp/tests/mocks"
  override_during = plan
}

mock_provider "time" {
  override_during = plan
}

variables {
  project_id   = "my-project"
  package_path = "../../gcp/tests/fixtures/package.zip"
  alarm_email  = "on-call@example.com"
  on_call      = ["group:on-call@example.com"]
  auditors     = ["group:audit@example.com"]
}

run "plan" {
  command = plan

  assert {
    condition     = length(output.alarm_names) == 7
    error_message = "All alarms are there."
  }

  assert {
    condition     = google_kms_crypto_key.secrets.rotation_period == "7776000s" && google_kms_crypto_key.secrets.destroy_scheduled_duration == "2592000s"
    error_message = "The KMS key rotates, and its destruction can be taken back for 30 days."
  }
}

run "an_address_is_one" {
  command = plan

  variables {
    alarm_email = "nobody"
  }

  expect_failures = [var.alarm_email]
}
