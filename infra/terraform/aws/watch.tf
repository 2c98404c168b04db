# What CloudTrail tells of the KMS key and of our roles' calls, as events, in a log and as metrics.
# EventBridge gets these events only where the account has a trail that logs management events.

locals {
  watched = {
    kms-key = {
      about = "Somebody disabled the KMS key, scheduled its deletion or stopped its rotation."
      state = "ENABLED"
      pattern = {
        source      = ["aws.kms"]
        detail-type = ["AWS API Call via CloudTrail"]
        detail = {
          eventSource = ["kms.amazonaws.com"]
          eventName   = ["DisableKey", "DisableKeyRotation", "DeleteImportedKeyMaterial", "ScheduleKeyDeletion"]
          resources   = { ARN = [local.kms_key_arn] }
        }
      }
    }
    refused-calls = {
      about = "AWS refused a call of a role of ours: not allowed, or too fast."
      # Most of the calls read, and CloudTrail's reading events go to such rules alone.
      state = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
      pattern = {
        detail-type = ["AWS API Call via CloudTrail"]
        detail = {
          errorCode    = concat(local.denied_codes, local.throttled_codes)
          userIdentity = { sessionContext = { sessionIssuer = { arn = local.role_arns } } }
        }
      }
    }
  }

  denied_codes    = ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"]
  throttled_codes = ["RequestLimitExceeded", "SlowDown", "Throttling", "ThrottlingException"]
  role_arns       = concat([for role in aws_iam_role.function : role.arn], [aws_iam_role.scheduler.arn])

  # The namespace that the functions use, and in it what only the logs tell.
  namespace = "daena-kms"
  filters = {
    kms-key = {
      log_group = aws_cloudwatch_log_group.events.name
      pattern   = "{ $.source = \"aws.kms\" && $.detail.errorCode NOT EXISTS }"
    }
    denied = {
      log_group = aws_cloudwatch_log_group.events.name
      pattern   = "{ ${join(" || ", [for code in local.denied_codes : "($.detail.errorCode = \"${code}\")"])} }"
    }
    throttled = {
      log_group = aws_cloudwatch_log_group.events.name
      pattern   = "{ ${join(" || ", [for code in local.throttled_codes : "($.detail.errorCode = \"${code}\")"])} }"
    }
  }

  http_filters = { for name, pattern in {
    unauthorised = "{ ($.message = \"http\") && (($.status = 401) || ($.status = 403)) }"
    } : name => {
    log_group = aws_cloudwatch_log_group.function["http"].name
    pattern   = pattern
  } if var.http_enabled }
}

resource "aws_cloudwatch_event_rule" "watched" {
  for_each = local.watched

  region        = var.region
  name          = "${var.name}-${each.key}"
  description   = each.value.about
  state         = each.value.state
  event_pattern = jsonencode(each.value.pattern)
  tags          = var.tags
}

resource "aws_cloudwatch_event_target" "watched" {
  for_each = local.watched

  region = var.region
  rule   = aws_cloudwatch_event_rule.watched[each.key].name
  arn    = aws_cloudwatch_log_group.events.arn
}

resource "aws_cloudwatch_log_group" "events" {
  #checkov:skip=CKV_AWS_158:it tells that the KMS key was disabled, and must be readable then
  #checkov:skip=CKV_AWS_338:how long is a variable, a year by default

  region            = var.region
  name              = "/aws/events/${var.name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_cloudwatch_log_resource_policy" "events" {
  region      = var.region
  policy_name = "${var.name}-events"
  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EventsToTheirLog"
      Effect    = "Allow"
      Principal = { Service = ["delivery.logs.amazonaws.com", "events.amazonaws.com"] }
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = "${aws_cloudwatch_log_group.events.arn}:*"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnEquals    = { "aws:SourceArn" = [for rule in aws_cloudwatch_event_rule.watched : rule.arn] }
      }
    }]
  })
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = merge(local.filters, local.http_filters)

  region         = var.region
  name           = "${var.name}-${each.key}"
  log_group_name = each.value.log_group
  pattern        = each.value.pattern

  metric_transformation {
    namespace = local.namespace
    name      = "${var.name}-${each.key}"
    value     = "1"
    unit      = "Count"
  }
}
