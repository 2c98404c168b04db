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
}

run "plan" {
  command = plan

  assert {
    condition     = output.audit_url == "gs://my-project-daena-kms-audit"
    error_message = "The log's address is what the command line needs."
  }

  assert {
    condition     = output.scheduler_job == "daena-kms-run"
    error_message = "The job is there."
  }
}
