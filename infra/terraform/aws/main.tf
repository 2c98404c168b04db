data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {
  region = var.region
}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  # "arn:aws:service:region:account", to name what would otherwise be a circle of references.
  arn_of = { for service in ["events", "lambda", "logs", "scheduler", "secretsmanager"] :
    service => "arn:${local.partition}:${service}:${local.region}:${local.account}"
  }

  secrets = [for name in var.secret_name_patterns :
    # Secrets Manager adds a hyphen and six characters to the name of a secret in its ARN.
    "${local.arn_of.secretsmanager}:secret:${endswith(name, "*") ? name : "${name}-??????"}"
  ]

  functions = { for name, function in {
    scheduled = { handler = "handler.scheduled", timeout = 900, about = "Rotates the keys that are due." }
    http      = { handler = "handler.http", timeout = 120, about = "Answers the HTTP API." }
  } : name => function if name != "http" || var.http_enabled }

  environment = { for name, value in {
    DAENA_CLOUD_KMS_PROVIDER = "aws"
    AWS_KMS_KEY_ID           = local.kms_key_arn
    DAENA_KMS_AUDIT_URL      = local.audit_url
    DAENA_KMS_ROTATE_AFTER   = var.rotate_after
    DAENA_KMS_GRACE          = var.grace
    DAENA_KMS_DESTROY_AFTER  = var.destroy_after
    DAENA_KMS_MIN_BITS       = var.min_bits == null ? null : tostring(var.min_bits)
    DAENA_KMS_MIN_INTERVAL   = var.min_interval
    DAENA_KMS_HTTP_POLICY    = var.http_policy ? "true" : null
    DAENA_KMS_PAUSED         = tostring(var.paused)
    DAENA_KMS_ACCESS         = var.access
    DAENA_KMS_ENDPOINT       = var.endpoint
    DAENA_KMS_ENDPOINT_ALLOW = length(var.endpoint_allow) == 0 ? null : join(",", var.endpoint_allow)
  } : name => value if value != null }
}
