# What CloudTrail tells of the KMS key and of calls that were refused, as events and in a log of ours.
# EventBridge gets these events only where the account has a trail that logs management events.

locals {
  role_arns = concat([for role in aws_iam_role.function : role.arn], [aws_iam_role.scheduler.arn])

  watched = {
    key-change = {
      about = "Somebody disabled the KMS key, scheduled its deletion, or changed who may use it."
      state = "ENABLED"
      pattern = {
        source      = ["aws.kms"]
        detail-type = ["AWS API Call via CloudTrail"]
        detail = {
          eventName = ["DeleteImportedKeyMaterial", "DisableKey", "DisableKeyRotation", "PutKeyPolicy", "ScheduleKeyDeletion"]
          resources = { ARN = local.kms_key_arns }
        }
      }
    }
    # Reading a value is a management event that only reads; such events go to rules in this state alone.
    denied-call = {
      about = "Somebody was refused a call to Secrets Manager or KMS."
      state = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
      pattern = {
        source      = ["aws.kms", "aws.secretsmanager"]
        detail-type = ["AWS API Call via CloudTrail"]
        detail      = { errorCode = ["AccessDenied", "AccessDeniedException"] }
      }
    }
    throttled-call = {
      about = "AWS refused a call of ours for its rate."
      state = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
      pattern = {
        source      = ["aws.kms", "aws.secretsmanager"]
        detail-type = ["AWS API Call via CloudTrail"]
        detail = {
          errorCode    = ["RequestLimitExceeded", "Throttling", "ThrottlingException"]
          userIdentity = { sessionContext = { sessionIssuer = { arn = local.role_arns } } }
        }
      }
    }
  }
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
    Statement = [
      {
        # No rule is named when a stream is made, only when it is written to:
        # docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
        Sid       = "EventsMakeStreams"
        Effect    = "Allow"
        Principal = { Service = ["delivery.logs.amazonaws.com", "events.amazonaws.com"] }
        Action    = ["logs:CreateLogStream"]
        Resource  = "${aws_cloudwatch_log_group.events.arn}:*"
      },
      {
        Sid       = "EventsToTheirLog"
        Effect    = "Allow"
        Principal = { Service = ["delivery.logs.amazonaws.com", "events.amazonaws.com"] }
        Action    = ["logs:PutLogEvents"]
        Resource  = "${aws_cloudwatch_log_group.events.arn}:*"
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account }
          ArnEquals    = { "aws:SourceArn" = [for rule in aws_cloudwatch_event_rule.watched : rule.arn] }
        }
      },
    ]
  })
}

# Callers whom IAM let through, and whom our own rules did not.
resource "aws_cloudwatch_log_metric_filter" "refused_caller" {
  count = var.http_enabled ? 1 : 0

  region         = var.region
  name           = "${var.name}-refused-caller"
  log_group_name = aws_cloudwatch_log_group.function["http"].name
  pattern        = "{ ($.message = \"http\") && (($.status = 401) || ($.status = 403)) }"

  metric_transformation {
    namespace = local.namespace
    name      = "${var.name}-refused-caller"
    value     = "1"
    unit      = "Count"
  }
}
