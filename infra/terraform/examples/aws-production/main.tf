# For an account that others depend on: named secrets, a log that not even the owner can delete,
# somebody who is told, and a trail, without which two alarms see nothing.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { service = "daena-kms" }
  }
}

module "daena_kms" {
  source = "../../aws"

  region       = var.region
  package_path = var.package_path

  secret_name_patterns  = var.secret_name_patterns
  schedule              = "cron(7 * * * ? *)"
  expected_within_hours = 3

  audit_retention_mode = "COMPLIANCE"
  audit_retention_days = 400
  auditor_arns         = var.auditor_arns

  http_caller_arns = var.on_call_arns
  http_changes     = true
  min_interval     = "1h"

  kms_administrator_arns = var.administrator_arns
  alarm_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_sns_topic" "alarms" {
  name              = "daena-kms-alarms"
  kms_master_key_id = aws_kms_key.alarms.arn
}

resource "aws_sns_topic_subscription" "alarms" {
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

# CloudWatch may use a topic's key only if the key's own policy says so, which AWS's can't.
resource "aws_kms_key" "alarms" {
  description         = "daena-kms: alarms on their way to the topic"
  enable_key_rotation = true
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
        Condition = {
          StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
          ArnLike      = { "aws:SourceArn" = "arn:${data.aws_partition.current.partition}:cloudwatch:${var.region}:${data.aws_caller_identity.current.account_id}:alarm:daena-kms-*" }
        }
      },
    ]
  })
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}
