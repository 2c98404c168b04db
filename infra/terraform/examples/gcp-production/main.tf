# For a project that others depend on: named secrets under a KMS key, a log that nobody can shorten,
# and somebody who is told.

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

module "daena_kms" {
  source = "../../gcp"

  project_id   = var.project_id
  region       = var.region
  package_path = var.package_path
  labels       = { service = "daena-kms" }

  secret_id_prefixes    = var.secret_id_prefixes
  kms_key_names         = [google_kms_crypto_key.secrets.id]
  schedule              = "7 * * * *"
  expected_within_hours = 3

  audit_retention_days   = 400
  audit_retention_locked = true
  auditors               = var.auditors

  http_callers = var.on_call
  http_changes = true
  min_interval = "1h"

  notification_channels = [google_monitoring_notification_channel.on_call.name]
}

resource "google_monitoring_notification_channel" "on_call" {
  display_name = "daena-kms: on call"
  type         = "email"
  labels       = { email_address = var.alarm_email }
}

resource "google_project_service" "kms" {
  service            = "cloudkms.googleapis.com"
  disable_on_destroy = false
}

resource "google_kms_key_ring" "secrets" {
  name     = "daena-kms"
  location = "global"

  depends_on = [google_project_service.kms]

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key" "secrets" {
  name                       = "secrets"
  key_ring                   = google_kms_key_ring.secrets.id
  rotation_period            = "7776000s"
  destroy_scheduled_duration = "2592000s"

  # Without it no value of any secret can be read again.
  lifecycle {
    prevent_destroy = true
  }
}

data "google_project" "this" {}

resource "google_kms_crypto_key_iam_member" "secret_manager" {
  crypto_key_id = google_kms_crypto_key.secrets.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-secretmanager.iam.gserviceaccount.com"

  # The module has made that account by then.
  depends_on = [module.daena_kms]

  lifecycle {
    prevent_destroy = true
  }
}
