# One role for each function, with what it calls and nothing more: infra/permissions/aws.json.

resource "aws_iam_role" "function" {
  for_each = local.functions

  name                 = "${var.name}-${each.key}"
  description          = "${var.name}: the function ${each.key}"
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name = each.key
  role = aws_iam_role.function[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.rotate_statements,
      [for statement in local.change_statements : statement if each.key == "http" && var.http_changes],
      [for statement in local.policy_statements : statement if each.key == "http" && var.http_policy],
      [{
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.function[each.key].arn}:*"
      }],
      # Only what is invoked asynchronously has an event to hand over.
      [for queue in [aws_sqs_queue.dead_letters.arn] : {
        Sid      = "DeadLetters"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = queue
      } if each.key == "scheduled"],
    )
  })
}

locals {
  managed_only = { StringEquals = { "aws:ResourceTag/daena.managed" = "true" } }

  rotate_statements = [
    {
      # The one action here that takes no resource.
      Sid      = "ListSecrets"
      Effect   = "Allow"
      Action   = ["secretsmanager:ListSecrets"]
      Resource = "*"
    },
    {
      # Not only of managed ones: that a secret no longer is one, the description says.
      Sid      = "LookAtSecrets"
      Effect   = "Allow"
      Action   = ["secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds"]
      Resource = local.secrets
    },
    {
      Sid       = "RotateManagedSecrets"
      Effect    = "Allow"
      Action    = ["secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"]
      Resource  = local.secrets
      Condition = local.managed_only
    },
    {
      # Directly, for random bytes, and through Secrets Manager.
      Sid      = "GenerateDataKeys"
      Effect   = "Allow"
      Action   = ["kms:GenerateDataKey"]
      Resource = local.kms_key_arns
    },
    {
      Sid       = "DecryptThroughSecretsManager"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = local.kms_key_arns
      Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${local.region}.amazonaws.com" } }
    },
    {
      Sid      = "AddToTheAuditLog"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject"]
      Resource = local.audit_objects
    },
    {
      Sid       = "ListTheAuditLog"
      Effect    = "Allow"
      Action    = ["s3:ListBucket"]
      Resource  = local.audit_arn
      Condition = { StringLike = { "s3:prefix" = "log/*" } }
    },
  ]

  change_statements = [
    {
      Sid       = "RollBackManagedSecrets"
      Effect    = "Allow"
      Action    = ["secretsmanager:GetSecretValue"]
      Resource  = local.secrets
      Condition = local.managed_only
    },
    {
      Sid      = "HoldAndReleaseManagedSecrets"
      Effect   = "Allow"
      Action   = ["secretsmanager:TagResource", "secretsmanager:UntagResource"]
      Resource = local.secrets
      Condition = {
        StringEquals                = { "aws:ResourceTag/daena.managed" = "true" }
        "ForAllValues:StringEquals" = { "aws:TagKeys" = ["daena.hold"] }
      }
    },
  ]
  policy_statements = [
    {
      # The tags of a policy alone: neither daena.managed nor daena.hold.
      Sid      = "SetPoliciesOfManagedSecrets"
      Effect   = "Allow"
      Action   = ["secretsmanager:TagResource", "secretsmanager:UntagResource"]
      Resource = local.secrets
      Condition = {
        StringEquals = { "aws:ResourceTag/daena.managed" = "true" }
        "ForAllValues:StringEquals" = { "aws:TagKeys" = [
          "daena.destroy-after", "daena.first-due", "daena.grace", "daena.keep", "daena.rotate-after", "daena.spec",
        ] }
      }
    },
  ]
}
