# Values of secrets are encrypted under this key, and random bytes for new values come from it.

locals {
  # Not by the ARN alone: it may be known only after an apply, and a key that was made is kept.
  makes_kms_key = var.create_kms_key == null ? var.kms_key_arn == null : var.create_kms_key
  kms_key_arn   = var.kms_key_arn == null ? one(aws_kms_key.values[*].arn) : var.kms_key_arn
  # New secrets are made under the first, and those that were made under the others are rotated too.
  kms_key_arns = distinct(concat(
    [local.kms_key_arn], aws_kms_key.values[*].arn, var.additional_kms_key_arns
  ))
}

resource "aws_kms_key" "values" {
  count = local.makes_kms_key ? 1 : 0

  region                  = var.region
  description             = "${var.name}: values of secrets"
  enable_key_rotation     = true
  rotation_period_in_days = 365
  deletion_window_in_days = 30
  policy                  = jsonencode(local.kms_policy)
  tags                    = var.tags

  # With the key all values under it are lost. docs/DEPLOY.md says how it is kept, or given up.
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "values" {
  count = local.makes_kms_key ? 1 : 0

  region        = var.region
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.values[0].key_id
}

locals {
  # In a key's own policy "*" is that key.
  kms_policy = {
    Version = "2012-10-17"
    Statement = concat(
      [{
        # Without it, the account's IAM policies count for nothing and the key can be lost to everybody.
        Sid       = "AccountDecidesByIAM"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      }],
      [for arn in var.kms_administrator_arns : {
        Sid       = "Administrator${index(var.kms_administrator_arns, arn)}"
        Effect    = "Allow"
        Principal = { AWS = arn }
        Action = [
          "kms:CancelKeyDeletion", "kms:DescribeKey", "kms:DisableKey", "kms:EnableKey",
          "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
          "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource",
        ]
        Resource = "*"
      }],
    )
  }
}
