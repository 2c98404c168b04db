# What is wrong is refused before anything is made.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  region       = "eu-central-1"
  package_path = "tests/fixtures/package.zip"
}

run "names" {
  command = plan

  variables {
    package_path         = "package.tar"
    name                 = "Daena"
    tags                 = { "daena.managed" = "true" }
    audit_bucket_name    = "No_Bucket"
    secret_name_patterns = ["*-suffix"]
  }

  expect_failures = [var.package_path, var.name, var.tags, var.audit_bucket_name, var.secret_name_patterns]
}

run "no_secrets_at_all" {
  command = plan

  variables {
    secret_name_patterns = []
  }

  expect_failures = [var.secret_name_patterns]
}

run "machines" {
  command = plan

  variables {
    region           = "Frankfurt"
    architecture     = "arm"
    memory_megabytes = 128
    schedule         = "every hour"
  }

  expect_failures = [var.region, var.architecture, var.memory_megabytes, var.schedule]
}

run "times" {
  command = plan

  variables {
    expected_within_hours = 0
    audit_retention_days  = 0
    audit_retention_mode  = "NONE"
    log_retention_days    = 7
  }

  expect_failures = [var.expected_within_hours, var.audit_retention_days, var.audit_retention_mode, var.log_retention_days]
}

run "arns" {
  command = plan

  variables {
    kms_key_arn              = "alias/my-key"
    kms_administrator_arns   = ["alice"]
    auditor_arns             = ["*"]
    additional_kms_key_arns  = ["alias/my-key"]
    http_caller_arns         = ["*"]
    http_callers             = { on_call = "*" }
    permissions_boundary_arn = "boundary"
    alarm_actions            = ["me@example.com"]
  }

  expect_failures = [
    var.kms_key_arn, var.kms_administrator_arns, var.auditor_arns, var.http_caller_arns,
    var.additional_kms_key_arns, var.http_callers,
    var.permissions_boundary_arn, var.alarm_actions,
  ]
}

run "no_key_at_all" {
  command = plan

  variables {
    create_kms_key = false
  }

  expect_failures = [var.create_kms_key]
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

run "endpoint_without_credentials" {
  command = plan

  variables {
    endpoint = "https://user:password@hooks.example.com/"
  }

  expect_failures = [var.endpoint]
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
