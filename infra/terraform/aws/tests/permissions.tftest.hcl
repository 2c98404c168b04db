# Who may do what, with a provider that makes nothing.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  region       = "eu-central-1"
  package_path = "tests/fixtures/package.zip"
}

run "rotator" {
  command = plan

  assert {
    condition = sort(distinct(flatten([
      for statement in jsondecode(aws_iam_role_policy.function["scheduled"].policy).Statement : statement.Action
      ]))) == sort([
      "kms:Decrypt", "kms:GenerateDataKey", "logs:CreateLogStream", "logs:PutLogEvents", "s3:GetObject",
      "s3:ListBucket", "s3:PutObject", "secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds",
      "secretsmanager:ListSecrets", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage",
      "sqs:SendMessage",
    ])
    error_message = "The scheduled function may do exactly what a run calls, and read no value."
  }

  assert {
    condition = alltrue([
      for statement in flatten([for policy in aws_iam_role_policy.function : jsondecode(policy.policy).Statement]) :
      !contains(flatten([statement.Resource]), "*") || statement.Action == ["secretsmanager:ListSecrets"]
    ])
    error_message = "Only ListSecrets, which takes no resource, may stand on every resource."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.function["scheduled"].policy).Statement :
      try(statement.Condition.StringEquals["aws:ResourceTag/daena.managed"], "") == "true"
      if contains(statement.Action, "secretsmanager:PutSecretValue")
    ])
    error_message = "Only secrets tagged daena.managed=true can be changed."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.function["scheduled"].policy).Statement :
      try(statement.Condition.StringEquals["kms:ViaService"], "") == "secretsmanager.eu-central-1.amazonaws.com"
      if contains(statement.Action, "kms:Decrypt")
    ])
    error_message = "Nothing is decrypted but through Secrets Manager."
  }

  assert {
    condition = alltrue([
      for policy in aws_iam_role_policy.function : alltrue([
        for action in flatten([for statement in jsondecode(policy.policy).Statement : statement.Action]) :
        !can(regex("Delete|\\*|Bypass|Retention|Policy", action))
      ])
    ])
    error_message = "No function deletes, and no action is a wildcard."
  }

  assert {
    condition     = keys(aws_iam_role.function) == ["http", "scheduled"]
    error_message = "Each function has a role of its own."
  }

  assert {
    condition     = jsondecode(aws_iam_role.function["scheduled"].assume_role_policy).Statement[0].Principal.Service == "lambda.amazonaws.com"
    error_message = "Only Lambda takes on a function's role."
  }
}

run "http_reads_no_value_by_default" {
  command = plan

  assert {
    condition = !contains(flatten([
      for statement in jsondecode(aws_iam_role_policy.function["http"].policy).Statement : statement.Action
    ]), "secretsmanager:GetSecretValue")
    error_message = "Without http_changes the API can read no value."
  }

  assert {
    condition = !contains(flatten([
      for statement in jsondecode(aws_iam_role_policy.function["http"].policy).Statement : statement.Action
    ]), "secretsmanager:TagResource")
    error_message = "Without http_changes and http_policy the API can set no tag."
  }

  assert {
    condition = !contains(flatten([
      for statement in jsondecode(aws_iam_role_policy.function["http"].policy).Statement : statement.Action
    ]), "sqs:SendMessage")
    error_message = "The API is called synchronously and sends no dead letter."
  }
}

run "http_changes" {
  command = plan

  variables {
    http_changes = true
  }

  assert {
    condition = length(setsubtract(
      ["secretsmanager:GetSecretValue", "secretsmanager:TagResource", "secretsmanager:UntagResource"],
      flatten([for s in jsondecode(aws_iam_role_policy.function["http"].policy).Statement : s.Action]),
    )) == 0
    error_message = "With http_changes the API can roll back, hold and release."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.function["http"].policy).Statement :
      try(statement.Condition["ForAllValues:StringEquals"]["aws:TagKeys"], []) == ["daena.hold"]
      if contains(statement.Action, "secretsmanager:TagResource")
    ])
    error_message = "No tag but daena.hold can be set or taken off over HTTP."
  }

  assert {
    condition = !contains(flatten([
      for statement in jsondecode(aws_iam_role_policy.function["scheduled"].policy).Statement : statement.Action
    ]), "secretsmanager:GetSecretValue")
    error_message = "The scheduled function never reads a value."
  }
}

run "http_policy" {
  command = plan

  variables {
    http_policy = true
  }

  assert {
    condition = jsonencode([
      for statement in jsondecode(aws_iam_role_policy.function["http"].policy).Statement :
      [statement.Action, sort(statement.Condition["ForAllValues:StringEquals"]["aws:TagKeys"]), statement.Condition.StringEquals]
      if contains(statement.Action, "secretsmanager:TagResource")
      ]) == jsonencode([[
        ["secretsmanager:TagResource", "secretsmanager:UntagResource"],
        ["daena.destroy-after", "daena.first-due", "daena.grace", "daena.keep", "daena.rotate-after", "daena.spec"],
        { "aws:ResourceTag/daena.managed" = "true" },
    ]])
    error_message = "With http_policy the API sets the tags of a policy on managed secrets, and no other tag."
  }

  assert {
    condition = !contains(flatten([
      for statement in jsondecode(aws_iam_role_policy.function["http"].policy).Statement : statement.Action
    ]), "secretsmanager:GetSecretValue")
    error_message = "To change a policy takes no value."
  }

  assert {
    condition = !contains(flatten([
      for statement in jsondecode(aws_iam_role_policy.function["scheduled"].policy).Statement : statement.Action
    ]), "secretsmanager:TagResource")
    error_message = "The scheduled function never tags."
  }

  assert {
    condition     = aws_lambda_function.this["http"].environment[0].variables.DAENA_KMS_HTTP_POLICY == "true"
    error_message = "The function knows that it may."
  }
}

run "named_secrets" {
  command = plan

  variables {
    secret_name_patterns = ["billing-*", "app-key"]
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["scheduled"].policy).Statement : statement.Resource
      if contains(statement.Action, "secretsmanager:PutSecretValue")
      ][0] == [
      "arn:aws:secretsmanager:eu-central-1:111122223333:secret:billing-*",
      "arn:aws:secretsmanager:eu-central-1:111122223333:secret:app-key-??????",
    ]
    error_message = "The policy names the secrets that were named."
  }
}

run "scheduler" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role.scheduler.assume_role_policy).Statement[0].Condition.StringEquals == {
      "aws:SourceAccount" = "111122223333"
      "aws:SourceArn"     = "arn:aws:scheduler:eu-central-1:111122223333:schedule-group/daena-kms"
    }
    error_message = "Only schedules of our group in this account take on the scheduler's role."
  }

  assert {
    condition = [for s in jsondecode(aws_iam_role_policy.scheduler.policy).Statement : [s.Action, s.Resource]] == [
      [["lambda:InvokeFunction"], aws_lambda_function.this["scheduled"].arn],
      [["sqs:SendMessage"], aws_sqs_queue.dead_letters.arn],
    ]
    error_message = "The scheduler may start the one function and fill the one queue."
  }
}

run "boundary" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary"
  }

  assert {
    condition = alltrue([
      for role in concat(values(aws_iam_role.function), [aws_iam_role.scheduler]) :
      role.permissions_boundary == "arn:aws:iam::111122223333:policy/boundary"
    ])
    error_message = "Every role has the boundary."
  }
}

run "callers" {
  command = plan

  variables {
    http_caller_arns = ["arn:aws:iam::111122223333:role/on-call"]
  }

  assert {
    condition     = aws_lambda_function_url.http[0].authorization_type == "AWS_IAM"
    error_message = "The URL takes signed requests only."
  }

  assert {
    condition = (
      aws_lambda_permission.url["arn:aws:iam::111122223333:role/on-call"].action == "lambda:InvokeFunctionUrl" &&
      aws_lambda_permission.url["arn:aws:iam::111122223333:role/on-call"].function_url_auth_type == "AWS_IAM" &&
      aws_lambda_permission.function["arn:aws:iam::111122223333:role/on-call"].invoked_via_function_url
    )
    error_message = "A caller gets both permissions of a function URL, and the second only through it."
  }
}

run "callers_of_whom_the_first_left" {
  command = plan

  variables {
    http_caller_arns = ["arn:aws:iam::111122223333:role/before", "arn:aws:iam::111122223333:role/on-call"]
  }

  assert {
    condition     = aws_lambda_permission.url["arn:aws:iam::111122223333:role/on-call"].statement_id == "url-${substr(sha256("arn:aws:iam::111122223333:role/on-call"), 0, 16)}"
    error_message = "A statement is named by its caller, not by a place that changes when another leaves."
  }
}

run "caller_policy" {
  command = plan

  assert {
    condition = [for s in jsondecode(aws_iam_policy.http_caller[0].policy).Statement : [s.Action[0], s.Resource, s.Condition]] == [
      ["lambda:InvokeFunctionUrl", aws_lambda_function.this["http"].arn, { StringEquals = { "lambda:FunctionUrlAuthType" = "AWS_IAM" } }],
      ["lambda:InvokeFunction", aws_lambda_function.this["http"].arn, { Bool = { "lambda:InvokedViaFunctionUrl" = "true" } }],
    ]
    error_message = "Callers come through the URL or not at all."
  }
}

run "queue" {
  command = plan

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_sqs_queue_policy.dead_letters.policy).Statement : statement.Effect == "Deny"
    ])
    error_message = "The queue's policy only forbids."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_log_resource_policy.events.policy_document).Statement[1].Condition.StringEquals["aws:SourceAccount"] == "111122223333"
    error_message = "Only events of this account come into their log."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_log_resource_policy.events.policy_document).Statement[1].Condition.ArnEquals["aws:SourceArn"]) == 3
    error_message = "Only our three rules write into the events' log."
  }

  assert {
    condition = [for s in jsondecode(aws_cloudwatch_log_resource_policy.events.policy_document).Statement : [s.Action, contains(keys(s), "Condition")]] == [
      [["logs:CreateLogStream"], false], [["logs:PutLogEvents"], true],
    ]
    error_message = "Making a stream names no rule, and is not asked for one."
  }
}
