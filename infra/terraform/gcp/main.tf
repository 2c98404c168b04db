data "google_project" "this" {
  project_id = var.project_id
}

locals {
  apis = [
    "artifactregistry", "cloudbuild", "cloudfunctions", "cloudkms", "cloudresourcemanager", "cloudscheduler",
    "eventarc", "iam", "iamcredentials", "logging", "monitoring", "pubsub", "run", "secretmanager", "storage",
  ]

  # What a gateway in the middle could not tell: who may call is decided here, by IAM alone.
  environment = { for name, value in {
    DAENA_CLOUD_KMS_PROVIDER = "gcp"
    GCP_PROJECT_ID           = var.project_id
    GCP_LOCATION             = var.secret_location
    GCP_INVOKER_IAM_CHECK    = "true"
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

resource "google_project_service" "this" {
  for_each = var.enable_apis ? toset(local.apis) : []

  project            = var.project_id
  service            = "${each.value}.googleapis.com"
  disable_on_destroy = false
}
