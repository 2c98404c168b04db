# The audit log. Who rotates may add objects that are not there yet, and read; nothing else.

locals {
  audit_bucket  = coalesce(var.audit_bucket_name, "${var.name}-audit-${local.account}-${local.region}")
  audit_arn     = "arn:${local.partition}:s3:::${local.audit_bucket}"
  audit_objects = "${local.audit_arn}/log/*"
  audit_url     = "s3://${local.audit_bucket}"
}

resource "aws_s3_bucket" "audit" {
  #checkov:skip=CKV_AWS_18:an access log of the log would need a third bucket; CloudTrail's data events do it where it is asked for
  #checkov:skip=CKV_AWS_144:a copy in another region is the owner's decision; the log is small and can be copied with s3 sync
  #checkov:skip=CKV_AWS_145:S3's own keys on purpose: the log holds no value, and must be readable when the KMS key of the values is gone
  #checkov:skip=CKV2_AWS_61:nothing is to be deleted or moved by age; retention is the lock's
  #checkov:skip=CKV2_AWS_62:nobody waits for an event of the log's objects

  region              = var.region
  bucket              = local.audit_bucket
  object_lock_enabled = true
  tags                = var.tags

  # A destroy would first strip the lock, the policy and the block of public access, and only then
  # stop at the bucket. So it stops at the plan.
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "audit" {
  region = var.region
  bucket = aws_s3_bucket.audit.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "audit" {
  region = var.region
  bucket = aws_s3_bucket_versioning.audit.bucket

  rule {
    default_retention {
      mode = var.audit_retention_mode
      days = var.audit_retention_days
    }
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "audit" {
  region = var.region
  bucket = aws_s3_bucket.audit.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "audit" {
  region                  = var.region
  bucket                  = aws_s3_bucket.audit.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "audit" {
  region = var.region
  bucket = aws_s3_bucket.audit.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "audit" {
  region = var.region
  bucket = aws_s3_bucket_public_access_block.audit.bucket
  policy = jsonencode(local.audit_policy)

  # S3 refuses a policy that names a role which does not exist yet.
  depends_on = [aws_iam_role.function]
}

locals {
  audit_policy = {
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "TLSOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = [local.audit_arn, "${local.audit_arn}/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
        {
          # docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
          Sid       = "CreateOnlyIfAbsent"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:PutObject"
          Resource  = "${local.audit_arn}/*"
          Condition = {
            Null = { "s3:if-none-match" = "true" }
            Bool = { "s3:ObjectCreationOperation" = "true" }
          }
        },
        {
          Sid       = "WhoRotatesDeletesNothing"
          Effect    = "Deny"
          Principal = { AWS = [for role in aws_iam_role.function : role.arn] }
          Action = [
            "s3:BypassGovernanceRetention", "s3:DeleteBucket", "s3:DeleteBucketPolicy",
            "s3:DeleteObject", "s3:DeleteObjectTagging", "s3:DeleteObjectVersion",
            "s3:PutBucketObjectLockConfiguration", "s3:PutBucketPolicy", "s3:PutBucketVersioning",
            "s3:PutLifecycleConfiguration", "s3:PutObjectLegalHold", "s3:PutObjectRetention",
          ]
          Resource = [local.audit_arn, "${local.audit_arn}/*"]
        },
      ],
      [for statement in [
        {
          Sid       = "AuditorsRead"
          Effect    = "Allow"
          Principal = { AWS = var.auditor_arns }
          Action    = ["s3:GetObject", "s3:GetObjectRetention", "s3:GetObjectVersion"]
          Resource  = local.audit_objects
        },
        {
          Sid       = "AuditorsList"
          Effect    = "Allow"
          Principal = { AWS = var.auditor_arns }
          Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
          Resource  = local.audit_arn
        },
      ] : statement if length(var.auditor_arns) > 0],
    )
  }
}
