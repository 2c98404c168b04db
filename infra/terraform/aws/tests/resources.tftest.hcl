# Names, schedules, encryption, retention and settings.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias  = "later"
  source = "./tests/mocks"
}

variables {
  region       = "eu-central-1"
  package_path = "tests/fixtures/package.zip"
}

run "names" {
  command = plan

  variables {
    name = "rotation-eu"
    tags = { team = "platform" }
  }

  assert {
    condition = [for function in aws_lambda_function.this : function.function_name] == [
      "rotation-eu-http", "rotation-eu-scheduled",
    ]
    error_message = "Functions are named for the deployment."
  }

  assert {
    condition     = aws_s3_bucket.audit.bucket == "rotation-eu-audit-111122223333-eu-central-1"
    error_message = "The bucket's name is the world's alone."
  }

  assert {
    condition = alltrue([for tags in concat(
      [aws_kms_key.values[0].tags, aws_s3_bucket.audit.tags, aws_sqs_queue.dead_letters.tags],
      [for role in aws_iam_role.function : role.tags],
      [for function in aws_lambda_function.this : function.tags],
    ) : tags == tomap({ team = "platform" })])
    error_message = "Every resource carries the tags."
  }
}

run "functions" {
  command = plan

  assert {
    condition = alltrue([for function in aws_lambda_function.this :
      function.runtime == "python3.13" && function.architectures == tolist(["arm64"])
    ])
    error_message = "Functions run on arm64 and Python 3.13."
  }

  assert {
    condition     = aws_lambda_function.this["scheduled"].handler == "handler.scheduled" && aws_lambda_function.this["http"].handler == "handler.http"
    error_message = "Each function has the handler of its name."
  }

  assert {
    condition     = aws_lambda_function.this["scheduled"].timeout == 900 && aws_lambda_function.this["http"].timeout == 120
    error_message = "A run has fifteen minutes, an answer two."
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.scheduled.destination_config[0].on_failure[0].destination == aws_sqs_queue.dead_letters.arn
    error_message = "What failed for the last time goes to the queue."
  }

  assert {
    condition = aws_lambda_function.this["scheduled"].environment[0].variables == tomap({
      AWS_KMS_KEY_ID           = aws_kms_key.values[0].arn
      DAENA_CLOUD_KMS_PROVIDER = "aws"
      DAENA_KMS_AUDIT_URL      = "s3://daena-kms-audit-111122223333-eu-central-1"
      DAENA_KMS_MIN_INTERVAL   = "10m"
      DAENA_KMS_PAUSED         = "false"
    })
    error_message = "By default the environment says where things are, and no more."
  }
}

run "settings" {
  command = plan

  variables {
    rotate_after   = "30d"
    grace          = "48h"
    destroy_after  = "never"
    min_bits       = 128
    http_policy    = true
    min_interval   = "1h"
    paused         = true
    access         = "[{\"who\": \"*\", \"may\": [\"rotate\"]}]"
    endpoint       = "https://hooks.example.com/rotations"
    endpoint_allow = ["hooks.internal", "10.0.0.7"]
  }

  assert {
    condition = alltrue([for name, value in {
      DAENA_KMS_ROTATE_AFTER   = "30d"
      DAENA_KMS_GRACE          = "48h"
      DAENA_KMS_DESTROY_AFTER  = "never"
      DAENA_KMS_MIN_BITS       = "128"
      DAENA_KMS_HTTP_POLICY    = "true"
      DAENA_KMS_MIN_INTERVAL   = "1h"
      DAENA_KMS_PAUSED         = "true"
      DAENA_KMS_ACCESS         = "[{\"who\": \"*\", \"may\": [\"rotate\"]}]"
      DAENA_KMS_ENDPOINT       = "https://hooks.example.com/rotations"
      DAENA_KMS_ENDPOINT_ALLOW = "hooks.internal,10.0.0.7"
    } : aws_lambda_function.this["http"].environment[0].variables[name] == value])
    error_message = "Every setting reaches the functions under its own name."
  }
}

run "no_http" {
  command = plan

  variables {
    http_enabled = false
  }

  assert {
    condition     = keys(aws_lambda_function.this) == ["scheduled"] && length(aws_lambda_function_url.http) == 0 && output.http_url == null
    error_message = "Without the API there is no function, no role and no URL for it."
  }
}

run "schedule" {
  command = plan

  variables {
    schedule = "cron(7 * * * ? *)"
  }

  assert {
    condition     = aws_scheduler_schedule.run.schedule_expression == "cron(7 * * * ? *)" && aws_scheduler_schedule.run.group_name == "daena-kms"
    error_message = "The schedule is the one asked for, in our group."
  }

  assert {
    condition     = aws_scheduler_schedule.run.target[0].retry_policy[0].maximum_retry_attempts == 10 && aws_scheduler_schedule.run.target[0].dead_letter_config[0].arn == aws_sqs_queue.dead_letters.arn
    error_message = "A delivery is tried again, and then kept as a dead letter."
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.scheduled.maximum_retry_attempts == 1
    error_message = "A failed run is tried again once; the next run does the rest."
  }

  assert {
    condition     = jsondecode(aws_scheduler_schedule.run.target[0].input) == { source = "aws.scheduler", detail = {} }
    error_message = "The event is an object that the function knows."
  }
}

run "encryption" {
  command = plan

  assert {
    condition     = aws_kms_key.values[0].enable_key_rotation && aws_kms_key.values[0].deletion_window_in_days == 30
    error_message = "The KMS key rotates, and its deletion can be taken back for 30 days."
  }

  assert {
    condition     = aws_sqs_queue.dead_letters.sqs_managed_sse_enabled
    error_message = "Dead letters are encrypted."
  }

  assert {
    condition     = one([for rule in aws_s3_bucket_server_side_encryption_configuration.audit.rule : rule.apply_server_side_encryption_by_default[0].sse_algorithm]) == "AES256"
    error_message = "The audit log is encrypted, with a key that outlives that of the values."
  }
}

run "own_kms_key" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:444455556666:key/0000abcd-12ab-34cd-56ef-1234567890ab"
  }

  assert {
    condition     = length(aws_kms_key.values) == 0 && length(aws_kms_alias.values) == 0
    error_message = "No second key is made."
  }

  assert {
    condition     = aws_lambda_function.this["scheduled"].environment[0].variables.AWS_KMS_KEY_ID == var.kms_key_arn && output.kms_key_arn == var.kms_key_arn
    error_message = "The functions use the given key."
  }
}

run "changed_to_an_own_kms_key" {
  command = plan

  variables {
    create_kms_key          = true
    kms_key_arn             = "arn:aws:kms:eu-central-1:444455556666:key/0000abcd-12ab-34cd-56ef-1234567890ab"
    additional_kms_key_arns = ["arn:aws:kms:eu-central-1:444455556666:key/1111abcd-12ab-34cd-56ef-1234567890ab"]
  }

  assert {
    condition     = length(aws_kms_key.values) == 1 && aws_lambda_function.this["scheduled"].environment[0].variables.AWS_KMS_KEY_ID == var.kms_key_arn
    error_message = "The key that was made stays, and new secrets are made under the own one."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.function["scheduled"].policy).Statement :
      sort(statement.Resource) == sort(concat([var.kms_key_arn, aws_kms_key.values[0].arn], var.additional_kms_key_arns))
      if anytrue([for action in statement.Action : startswith(action, "kms:")])
    ])
    error_message = "What was made under the other keys can be rotated, too."
  }
}

run "callers_by_name" {
  command = plan

  variables {
    http_caller_arns = ["arn:aws:iam::444455556666:role/one"]
    http_callers     = { on_call = "arn:aws:iam::444455556666:role/two" }
  }

  assert {
    condition     = { for key, permission in aws_lambda_permission.url : key => permission.principal } == { "arn:aws:iam::444455556666:role/one" = "arn:aws:iam::444455556666:role/one", on_call = "arn:aws:iam::444455556666:role/two" }
    error_message = "Both may call, by their ARNs."
  }
}

run "audit_bucket" {
  command = plan

  variables {
    audit_retention_days = 30
    audit_retention_mode = "COMPLIANCE"
    auditor_arns         = ["arn:aws:iam::444455556666:root"]
  }

  assert {
    condition     = aws_s3_bucket.audit.object_lock_enabled && aws_s3_bucket_versioning.audit.versioning_configuration[0].status == "Enabled"
    error_message = "The bucket is versioned and has Object Lock."
  }

  assert {
    condition     = one([for r in aws_s3_bucket_object_lock_configuration.audit.rule : [r.default_retention[0].mode, r.default_retention[0].days]]) == ["COMPLIANCE", 30]
    error_message = "Every object is kept as long as asked for."
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.audit.block_public_policy && aws_s3_bucket_public_access_block.audit.restrict_public_buckets && aws_s3_bucket_public_access_block.audit.block_public_acls && aws_s3_bucket_public_access_block.audit.ignore_public_acls
    error_message = "Nothing in the bucket can be public."
  }

  assert {
    condition     = one([for s in jsondecode(aws_s3_bucket_policy.audit.policy).Statement : s.Condition if s.Sid == "TLSOnly"]) == { Bool = { "aws:SecureTransport" = "false" } }
    error_message = "Requests without TLS are refused."
  }

  assert {
    condition     = one([for s in jsondecode(aws_s3_bucket_policy.audit.policy).Statement : [s.Effect, s.Principal, s.Action, s.Condition.Null["s3:if-none-match"]] if s.Sid == "CreateOnlyIfAbsent"]) == ["Deny", "*", "s3:PutObject", "true"]
    error_message = "A put without If-None-Match is refused, whoever sends it."
  }

  assert {
    condition     = length(setsubtract(["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention", "s3:PutBucketPolicy", "s3:PutLifecycleConfiguration"], one([for s in jsondecode(aws_s3_bucket_policy.audit.policy).Statement : s.Action if s.Sid == "WhoRotatesDeletesNothing" && s.Effect == "Deny"]))) == 0
    error_message = "Who rotates can neither delete nor change what keeps objects."
  }

  assert {
    condition     = one([for s in jsondecode(aws_s3_bucket_policy.audit.policy).Statement : s.Action if s.Sid == "AuditorsRead" && s.Effect == "Allow"]) == ["s3:GetObject", "s3:GetObjectRetention", "s3:GetObjectVersion"]
    error_message = "Auditors read, and nothing else."
  }
}

run "logs" {
  command = plan

  variables {
    log_retention_days = 90
  }

  assert {
    condition     = alltrue([for group in concat(values(aws_cloudwatch_log_group.function), [aws_cloudwatch_log_group.events]) : group.retention_in_days == 90])
    error_message = "Every log group has the retention asked for."
  }

  assert {
    condition     = aws_lambda_function.this["http"].logging_config[0].log_group == "/aws/lambda/daena-kms-http"
    error_message = "A function writes into the log group that has a retention."
  }
}

# Without values that are made up at the plan already.
run "computed_beside_it" {
  command = plan

  module {
    source = "./tests/fixtures/computed"
  }

  providers = {
    aws = aws.later
  }

  assert {
    condition     = startswith(output.audit_url, "s3://daena-kms-audit-")
    error_message = "What is computed in the same configuration can be planned."
  }
}
