# The least that rotates keys: everything else has a default.

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
}

variable "region" {
  description = "Region to deploy in."
  type        = string
  default     = "eu-central-1"
  nullable    = false
}

variable "package_path" {
  description = "The Lambda zip for arm64 that `make package` built."
  type        = string
  nullable    = false
}

module "daena_kms" {
  source = "../../aws"

  region       = var.region
  package_path = var.package_path
}

output "audit_url" {
  description = "DAENA_KMS_AUDIT_URL for the command line."
  value       = module.daena_kms.audit_url
}

output "kms_key_arn" {
  description = "AWS_KMS_KEY_ID for the command line."
  value       = module.daena_kms.kms_key_arn
}

output "function_arns" {
  description = "The functions, by name."
  value       = module.daena_kms.function_arns
}
