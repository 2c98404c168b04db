mock_provider "aws" {
  source          = "../../aws/tests/mocks"
  override_during = plan
}

variables {
  package_path = "../../aws/tests/fixtures/package.zip"
}

run "plan" {
  command = plan

  assert {
    condition     = output.audit_url == "s3://daena-kms-audit-111122223333-eu-central-1"
    error_message = "The log's address is what the command line needs."
  }

  assert {
    condition     = keys(output.function_arns) == ["http", "scheduled"]
    error_message = "Both functions are there."
  }
}
