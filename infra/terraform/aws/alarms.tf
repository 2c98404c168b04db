# What to do when one rings is written in docs/ALARMS.md.

locals {
  ours      = { service = "rotation" }
  runbook   = "What to do: docs/ALARMS.md, AWS,"
  scheduled = { FunctionName = aws_lambda_function.this["scheduled"].function_name }

  alarms = {
    run-failed = {
      about     = "A run failed, or a key failed in it."
      namespace = "AWS/Lambda", metric = "Errors", dimensions = local.scheduled
      statistic = "Sum", period = 300, periods = 1
    }
    overdue = {
      about     = "A key has been overdue in every run of three hours, whether a run failed or not."
      namespace = local.namespace, metric = "overdue", dimensions = local.ours
      statistic = "Minimum", period = 3600, periods = 3
    }
    kms-key = {
      about     = "The KMS key of the values was disabled, or is to be deleted."
      namespace = local.namespace, metric = "${var.name}-kms-key", dimensions = null
      statistic = "Sum", period = 60, periods = 1
    }
  }

  # Sums of several metrics: which of them it was, the dashboard shows.
  summed_alarms = {
    throttled = {
      about = "Calls were refused for their rate: of the functions, or of the functions' own."
      metrics = concat(
        [for function in aws_lambda_function.this : {
          namespace = "AWS/Lambda", metric = "Throttles", dimensions = { FunctionName = function.function_name }
        }],
        [{ namespace = local.namespace, metric = "${var.name}-throttled", dimensions = {} }],
      )
    }
    dead-letter = {
      about = "An event could not be delivered or handled."
      metrics = [
        {
          namespace  = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible"
          dimensions = { QueueName = aws_sqs_queue.dead_letters.name }
        },
        { namespace = "AWS/Lambda", metric = "DeadLetterErrors", dimensions = local.scheduled },
        {
          namespace  = "AWS/Scheduler", metric = "InvocationsFailedToBeSentToDeadLetterCount"
          dimensions = { ScheduleGroup = aws_scheduler_schedule_group.this.name }
        },
      ]
    }
    unauthorised = {
      about = "A caller was refused by the API, or a role of ours by AWS."
      metrics = [for name in concat(["denied"], keys(local.http_filters)) :
        { namespace = local.namespace, metric = "${var.name}-${name}", dimensions = {} }
      ]
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  region              = var.region
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.about} ${local.runbook} ${each.key}."
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

resource "aws_cloudwatch_metric_alarm" "summed" {
  for_each = local.summed_alarms

  region              = var.region
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.about} ${local.runbook} ${each.key}."
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags

  metric_query {
    id          = "all"
    label       = each.key
    expression  = "SUM([${join(", ", [for index in range(length(each.value.metrics)) : "FILL(m${index}, 0)"])}])"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = each.value.metrics

    content {
      id = "m${metric_query.key}"

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.metric
        dimensions  = metric_query.value.dimensions
        stat        = metric_query.value.metric == "ApproximateNumberOfMessagesVisible" ? "Maximum" : "Sum"
        period      = 300
      }
    }
  }
}

# Every run measures how many keys there are: no such figure, no run that came to its end.
resource "aws_cloudwatch_metric_alarm" "no_run" {
  region              = var.region
  alarm_name          = "${var.name}-no-run"
  alarm_description   = "No run has come to its end for ${var.expected_within_hours} hours. ${local.runbook} no-run."
  namespace           = local.namespace
  metric_name         = "keys"
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
