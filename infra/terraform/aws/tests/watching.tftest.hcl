# Alarms, what they watch, and the dashboard.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  region        = "eu-central-1"
  package_path  = "tests/fixtures/package.zip"
  alarm_actions = ["arn:aws:sns:eu-central-1:111122223333:on-call"]
}

run "alarms" {
  command = plan

  assert {
    condition = output.alarm_names == tolist([
      "daena-kms-dead-letter", "daena-kms-kms-key", "daena-kms-no-run", "daena-kms-overdue", "daena-kms-run-failed",
      "daena-kms-throttled", "daena-kms-unauthorised",
    ])
    error_message = "There is an alarm for each thing that can go wrong."
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_metric_alarm.summed), [aws_cloudwatch_metric_alarm.no_run]) :
      tolist(alarm.alarm_actions) == tolist(["arn:aws:sns:eu-central-1:111122223333:on-call"]) && strcontains(alarm.alarm_description, "docs/ALARMS.md")
    ])
    error_message = "Every alarm notifies and says where to read on."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.no_run.treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.no_run.statistic == "SampleCount" && aws_cloudwatch_metric_alarm.no_run.evaluation_periods == 3
    error_message = "Silence is what this alarm is about."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["overdue"].metric_name == "overdue" && aws_cloudwatch_metric_alarm.this["overdue"].namespace == "daena-kms" && aws_cloudwatch_metric_alarm.this["overdue"].dimensions == tomap({ service = "rotation" })
    error_message = "Overdue keys are counted by the functions' own metric."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["run-failed"].metric_name == "Errors" && aws_cloudwatch_metric_alarm.this["run-failed"].dimensions.FunctionName == "daena-kms-scheduled"
    error_message = "A run that fails is an error of the function."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.summed["throttled"].metric_query) == 4
    error_message = "Throttling is that of both functions and of their calls."
  }
}

run "kms_key_events" {
  command = plan

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.watched["kms-key"].event_pattern).detail == {
      eventSource = ["kms.amazonaws.com"]
      eventName   = ["DisableKey", "DisableKeyRotation", "DeleteImportedKeyMaterial", "ScheduleKeyDeletion"]
      resources   = { ARN = [aws_kms_key.values[0].arn] }
    }
    error_message = "Disabling and deleting the one key is watched."
  }

  assert {
    condition     = aws_cloudwatch_log_metric_filter.this["kms-key"].metric_transformation[0].name == aws_cloudwatch_metric_alarm.this["kms-key"].metric_name
    error_message = "What the filter counts is what the alarm watches."
  }

  assert {
    condition     = aws_cloudwatch_event_rule.watched["refused-calls"].state == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
    error_message = "Refused calls that read are watched, too."
  }
}

run "without_http" {
  command = plan

  variables {
    http_enabled = false
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.summed["unauthorised"].metric_query) == 2
    error_message = "Without the API only AWS's own refusals are counted."
  }
}

run "dashboard" {
  command = plan

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 6
    error_message = "The dashboard has six widgets."
  }

  assert {
    condition = length(setsubtract(
      ["rotated", "failed", "late", "duration", "keys", "overdue"],
      flatten([for w in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [for m in w.properties.metrics : m[1]]]),
    )) == 0
    error_message = "Rotations, failures, ages, durations and counts are on it."
  }
}
