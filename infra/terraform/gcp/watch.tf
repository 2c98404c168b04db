# What the functions' lines in the log and Google's own audit logs tell, as metrics.

locals {
  services = [for name in keys(local.functions) : "${var.name}-${name}"]
  emails   = [for name in keys(local.rotating) : google_service_account.this[name].email]
  any      = { for name, values in { services = local.services, emails = local.emails, kms = var.kms_key_names } : name => join(" OR ", [for value in values : "\"${value}\""]) }
  of_ours  = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(${local.any.services})"
  a_run    = "${local.of_ours} AND jsonPayload.event=\"run\" AND jsonPayload.dry_run=false"
  a_call   = "protoPayload.serviceName=\"secretmanager.googleapis.com\" AND protoPayload.authenticationInfo.principalEmail=(${local.any.emails})"
  # Another deployment of the project has its own alarm for its own secrets.
  of_ours_alone = var.all_secrets ? "" : " AND protoPayload.resourceName=~\"^projects/[^/]+/${var.secret_location == null ? "" : "locations/${var.secret_location}/"}secrets/(${join("|", var.secret_id_prefixes)})\""
  scheduled     = "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=\"${var.name}-run\""

  counters = merge(
    {
      runs        = local.a_run
      failed_runs = "${local.a_run} AND jsonPayload.ok=false"
      job_errors  = "${local.scheduled} AND severity>=ERROR"
      # What Cloud Run refuses, it notes in the same log as what it passes on.
      unauthorised   = "${local.of_ours} AND httpRequest.status=(401 OR 403)"
      refused_calls  = "resource.type=\"audited_resource\" AND ${local.a_call} AND protoPayload.status.code=7"
      throttled      = "resource.type=\"audited_resource\" AND ${local.a_call} AND protoPayload.status.code=8"
      deleted_secret = "resource.type=\"audited_resource\" AND protoPayload.serviceName=\"secretmanager.googleapis.com\" AND protoPayload.methodName:\"DeleteSecret\"${local.of_ours_alone}"
    },
    { for name, filter in {
      kms_key = "resource.type=\"cloudkms_cryptokeyversion\" AND protoPayload.methodName=(\"DestroyCryptoKeyVersion\" OR \"UpdateCryptoKeyVersion\") AND protoPayload.resourceName:(${local.any.kms})"
    } : name => filter if length(var.kms_key_names) > 0 },
  )

  distributions = merge(
    { for name in ["rotated", "finished", "retired", "destroyed", "failed", "left", "keys", "held", "overdue", "lateness"] : name => "jsonPayload.counts.${name}" },
    { seconds = "jsonPayload.seconds" },
  )
}

resource "google_logging_metric" "counters" {
  for_each = local.counters

  project = var.project_id
  name    = "${var.name}/${each.key}"
  filter  = each.value

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.this]
}

resource "google_logging_metric" "distributions" {
  for_each = local.distributions

  project         = var.project_id
  name            = "${var.name}/run_${each.key}"
  filter          = local.a_run
  value_extractor = "EXTRACT(${each.value})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "1"
  }

  bucket_options {
    exponential_buckets {
      num_finite_buckets = 40
      growth_factor      = 1.5
      scale              = 1
    }
  }

  depends_on = [google_project_service.this]
}
