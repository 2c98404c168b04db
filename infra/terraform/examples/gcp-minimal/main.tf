# The least that rotates keys: everything else has a default.

terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0, < 8.0"
    }
    # The module's own; named here so that tests can put another in its place.
    time = {
      source  = "hashicorp/time"
      version = ">= 0.9, < 1.0"
    }
  }
}

provider "google" {
  project = var.project_id
}

variable "project_id" {
  description = "Id of the project to deploy in."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region to deploy in."
  type        = string
  default     = "europe-west1"
  nullable    = false
}

variable "package_path" {
  description = "The source zip that `make package` built."
  type        = string
  nullable    = false
}

variable "secret_id_prefixes" {
  description = "Beginnings of the ids of the secrets that may be changed."
  type        = list(string)
  default     = ["app-"]
  nullable    = false
}

module "daena_kms" {
  source = "../../gcp"

  project_id   = var.project_id
  region       = var.region
  package_path = var.package_path

  secret_id_prefixes = var.secret_id_prefixes
}

output "audit_url" {
  description = "DAENA_KMS_AUDIT_URL for the command line."
  value       = module.daena_kms.audit_url
}

output "scheduler_job" {
  description = "The job that starts the runs."
  value       = module.daena_kms.scheduler_job
}
