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
      "daena-kms-dead-letter", "daena-kms-denied-call", "daena-kms-failed-run", "daena-kms-http-throttled",
      "daena-kms-key-change", "daena-kms-no-run", "daena-kms-overdue", "daena-kms-refused-caller",
      "daena-kms-scheduled-throttled", "daena-kms-throttled-call",
    ])
    error_message = "There is an alarm for each thing that can go wrong."
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.this), [aws_cloudwatch_metric_alarm.no_run]) :
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
    condition     = aws_cloudwatch_metric_alarm.this["overdue"].statistic == "Minimum" && aws_cloudwatch_metric_alarm.this["overdue"].period == 3 * 3600 && aws_cloudwatch_metric_alarm.this["overdue"].evaluation_periods == 1
    error_message = "One period holds all runs of these hours: no hour without a run quiets the alarm."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["failed-run"].metric_name == "Errors" && aws_cloudwatch_metric_alarm.this["failed-run"].dimensions.FunctionName == "daena-kms-scheduled"
    error_message = "A run that fails is an error of the function."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["refused-caller"].metric_name == aws_cloudwatch_log_metric_filter.refused_caller[0].metric_transformation[0].name
    error_message = "What the filter counts is what the alarm watches."
  }
}

run "daily_runs" {
  command = plan

  variables {
    schedule              = "cron(7 3 * * ? *)"
    expected_within_hours = 48
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["overdue"].period == 24 * 3600 && aws_cloudwatch_metric_alarm.this["overdue"].evaluation_periods == 1
    error_message = "A run a day can ring the alarm, too, whose period is a day at most."
  }
}

run "events" {
  command = plan

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.watched["key-change"].event_pattern).detail == {
      eventName = ["DeleteImportedKeyMaterial", "DisableKey", "DisableKeyRotation", "PutKeyPolicy", "ScheduleKeyDeletion"]
      resources = { ARN = [aws_kms_key.values[0].arn] }
    }
    error_message = "Disabling and deleting the one key is watched."
  }

  assert {
    condition = alltrue([for name, rule in aws_cloudwatch_event_rule.watched :
      aws_cloudwatch_metric_alarm.this[name].dimensions == tomap({ RuleName = rule.name }) && aws_cloudwatch_metric_alarm.this[name].metric_name == "TriggeredRules"
    ])
    error_message = "Each rule has its alarm."
  }

  assert {
    condition     = aws_cloudwatch_event_rule.watched["denied-call"].state == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" && aws_cloudwatch_event_rule.watched["throttled-call"].state == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
    error_message = "Refused calls that read are watched, too."
  }
}

run "without_http" {
  command = plan

  variables {
    http_enabled = false
  }

  assert {
    condition     = !contains(output.alarm_names, "daena-kms-refused-caller") && !contains(output.alarm_names, "daena-kms-http-throttled")
    error_message = "Without the API nobody waits for its alarms."
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
      ["rotated", "failed", "lateness", "duration", "keys", "overdue"],
      flatten([for w in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [for m in w.properties.metrics : m[1]]]),
    )) == 0
    error_message = "Rotations, failures, ages, durations and counts are on it."
  }
}
