mock_provider "aws" {
  source          = "../../aws/tests/mocks"
  override_during = plan

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:111122223333:daena-kms-alarms" }
  }
}

variables {
  package_path = "../../aws/tests/fixtures/package.zip"
  alarm_email  = "on-call@example.com"
  auditor_arns = ["arn:aws:iam::444455556666:root"]
  on_call_arns = ["arn:aws:iam::111122223333:role/on-call"]
}

run "plan" {
  command = plan

  assert {
    condition     = length(output.alarm_names) == 10
    error_message = "All alarms are there."
  }

  assert {
    condition     = aws_cloudtrail.management.is_multi_region_trail && aws_cloudtrail.management.include_global_service_events
    error_message = "The trail sees what the alarms watch."
  }

  assert {
    condition     = jsondecode(aws_kms_key.alarms.policy).Statement[1].Principal.Service == "cloudwatch.amazonaws.com"
    error_message = "CloudWatch can publish to the encrypted topic."
  }
}

run "an_address_is_one" {
  command = plan

  variables {
    alarm_email = "nobody"
  }

  expect_failures = [var.alarm_email]
}
