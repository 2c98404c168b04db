locals {
  widgets = [
    {
      title = "Rotations", stat = "Sum", view = "timeSeries"
      metrics = [for name in ["rotated", "finished", "retired", "released"] :
        [local.namespace, name, "service", "rotation"]
      ]
    },
    {
      title = "Failures", stat = "Sum", view = "timeSeries"
      metrics = concat(
        [for name in ["failed", "left", "skipped"] : [local.namespace, name, "service", "rotation"]],
        [for function in aws_lambda_function.this : ["AWS/Lambda", "Errors", "FunctionName", function.function_name]],
        [for function in aws_lambda_function.this : ["AWS/Lambda", "Throttles", "FunctionName", function.function_name]],
        [for rule in aws_cloudwatch_event_rule.watched : ["AWS/Events", "TriggeredRules", "RuleName", rule.name]],
      )
    },
    {
      title   = "Seconds by which the oldest key is over its limit", stat = "Maximum", view = "timeSeries"
      metrics = [[local.namespace, "lateness", "service", "rotation"]]
    },
    {
      title   = "Durations (seconds; the functions' in milliseconds)", stat = "Maximum", view = "timeSeries"
      metrics = concat([[local.namespace, "duration", "service", "rotation"]], [for function in aws_lambda_function.this : ["AWS/Lambda", "Duration", "FunctionName", function.function_name]])
    },
    {
      title   = "Keys", stat = "Maximum", view = "singleValue"
      metrics = [for name in ["keys", "overdue", "held"] : [local.namespace, name, "service", "rotation"]]
    },
    {
      title   = "Dead letters", stat = "Maximum", view = "singleValue"
      metrics = [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", aws_sqs_queue.dead_letters.name]]
    },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  region         = var.region
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [for index, widget in local.widgets : {
      type   = "metric"
      x      = index % 2 * 12
      y      = floor(index / 2) * 6
      width  = 12
      height = 6
      properties = {
        title  = widget.title, stat = widget.stat, view = widget.view, metrics = widget.metrics
        region = local.region, period = 3600
      }
    }]
  })
}
