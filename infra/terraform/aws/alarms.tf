# What to do when one rings is written in docs/ALARMS.md.

locals {
  # The namespace and the dimension that the functions use: functions_aws/handler.py.
  namespace = "daena-kms"
  ours      = { service = "rotation" }

  alarms = merge(
    {
      failed-run = {
        about     = "A run failed, or a key failed in it."
        namespace = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = aws_lambda_function.this["scheduled"].function_name }
        statistic = "Sum", period = 300, periods = 1
      }
      # What every run of these hours has left overdue, not what one run had no time for. One period,
      # of a day at most: hours without a run would count as good ones.
      overdue = {
        about     = "A key stays overdue, whether or not a run failed."
        namespace = local.namespace, metric = "overdue", dimensions = local.ours
        statistic = "Minimum", period = min(var.expected_within_hours, 24) * 3600, periods = 1
      }
      dead-letter = {
        about     = "An event could not be delivered, or its run failed for the last time."
        namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = aws_sqs_queue.dead_letters.name }
        statistic = "Maximum", period = 300, periods = 1
      }
    },
    { for name, function in aws_lambda_function.this : "${name}-throttled" => {
      about     = "Lambda refused to start the function ${name}."
      namespace = "AWS/Lambda", metric = "Throttles", dimensions = { FunctionName = function.function_name }
      statistic = "Sum", period = 300, periods = 1
    } },
    { for name, rule in aws_cloudwatch_event_rule.watched : name => {
      about     = rule.description
      namespace = "AWS/Events", metric = "TriggeredRules", dimensions = { RuleName = rule.name }
      statistic = "Sum", period = 300, periods = 1
    } },
    { for filter in aws_cloudwatch_log_metric_filter.refused_caller : "refused-caller" => {
      about     = "The API refused a caller."
      namespace = local.namespace, metric = filter.metric_transformation[0].name, dimensions = tomap({})
      statistic = "Sum", period = 300, periods = 1
    } },
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  region              = var.region
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.about} What to do: docs/ALARMS.md, AWS, ${each.key}."
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.periods
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}

# Every run measures how long it took: no such figure, no run that came to its end.
resource "aws_cloudwatch_metric_alarm" "no_run" {
  region              = var.region
  alarm_name          = "${var.name}-no-run"
  alarm_description   = "No run has come to its end for ${var.expected_within_hours} hours. What to do: docs/ALARMS.md, AWS, no-run."
  namespace           = local.namespace
  metric_name         = "duration"
  dimensions          = local.ours
  statistic           = "SampleCount"
  period              = 3600
  evaluation_periods  = var.expected_within_hours
  datapoints_to_alarm = var.expected_within_hours
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}
