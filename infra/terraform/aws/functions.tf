resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:tracing would need a permission that no run uses; a run's own log says what each key took
  #checkov:skip=CKV_AWS_115:a reserved concurrency can't be set in a new account, whose limit of ten must stay free; runs at the same time are safe
  #checkov:skip=CKV_AWS_116:the queue is the destination of what failed, which says more; the http function is called synchronously
  #checkov:skip=CKV_AWS_117:the functions call AWS's own public endpoints only; who needs a VPC sets one around the account
  #checkov:skip=CKV_AWS_173:the environment holds names and durations, no secret; AWS encrypts it with its own key
  #checkov:skip=CKV_AWS_272:code signing asks for a signing profile of the owner's

  for_each = local.functions

  region           = var.region
  function_name    = "${var.name}-${each.key}"
  description      = each.value.about
  role             = aws_iam_role.function[each.key].arn
  filename         = var.package_path
  source_code_hash = filebase64sha256(var.package_path)
  handler          = each.value.handler
  runtime          = "python3.13"
  architectures    = [var.architecture]
  memory_size      = var.memory_megabytes
  timeout          = each.value.timeout
  tags             = var.tags

  environment {
    variables = local.environment
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function[each.key].name
  }

  # A function that starts before its role may do anything would only fail.
  depends_on = [aws_iam_role_policy.function]
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_158:no value is ever logged, and the log must be readable when the KMS key that an alarm is about is disabled
  #checkov:skip=CKV_AWS_338:how long is a variable, a year by default

  for_each = local.functions

  region            = var.region
  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

# What is not done after two tries becomes a dead letter; the next run does it all the same.
resource "aws_lambda_function_event_invoke_config" "scheduled" {
  region                       = var.region
  function_name                = aws_lambda_function.this["scheduled"].function_name
  maximum_event_age_in_seconds = 3600
  maximum_retry_attempts       = 1

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letters.arn
    }
  }
}

resource "aws_lambda_function_url" "http" {
  count = var.http_enabled ? 1 : 0

  region             = var.region
  function_name      = aws_lambda_function.this["http"].function_name
  authorization_type = "AWS_IAM"
}

# Named by who calls and not by a place in the list: whoever leaves it moves nobody else's name.
locals {
  url_callers = var.http_enabled ? merge(
    { for arn in var.http_caller_arns : arn => { arn = arn, name = substr(sha256(arn), 0, 16) } },
    { for name, arn in var.http_callers : name => { arn = arn, name = name } },
  ) : {}
}

# A function URL takes both: docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
resource "aws_lambda_permission" "url" {
  for_each = local.url_callers

  region                 = var.region
  statement_id           = "url-${each.value.name}"
  function_name          = aws_lambda_function.this["http"].function_name
  action                 = "lambda:InvokeFunctionUrl"
  principal              = each.value.arn
  function_url_auth_type = "AWS_IAM"
}

resource "aws_lambda_permission" "function" {
  for_each = local.url_callers

  region                   = var.region
  statement_id             = "invoke-${each.value.name}"
  function_name            = aws_lambda_function.this["http"].function_name
  action                   = "lambda:InvokeFunction"
  principal                = each.value.arn
  invoked_via_function_url = true
}

# The same for whoever this policy is attached to, within the account.
resource "aws_iam_policy" "http_caller" {
  count = var.http_enabled ? 1 : 0

  name        = "${var.name}-http-caller"
  description = "Call the URL of ${var.name}-http"
  tags        = var.tags
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "CallTheURL"
        Effect    = "Allow"
        Action    = ["lambda:InvokeFunctionUrl"]
        Resource  = aws_lambda_function.this["http"].arn
        Condition = { StringEquals = { "lambda:FunctionUrlAuthType" = "AWS_IAM" } }
      },
      {
        # Invoked past its URL, the function would believe any caller's name.
        Sid       = "AndNothingPastIt"
        Effect    = "Allow"
        Action    = ["lambda:InvokeFunction"]
        Resource  = aws_lambda_function.this["http"].arn
        Condition = { Bool = { "lambda:InvokedViaFunctionUrl" = "true" } }
      },
    ]
  })
}
