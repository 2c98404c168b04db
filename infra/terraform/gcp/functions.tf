locals {
  # Whether there is a secret must be known when its name is not yet.
  has_endpoint_secret = var.use_endpoint_secret != null ? var.use_endpoint_secret : var.endpoint_secret != null

  functions = { for name, function in {
    scheduled = {
      about = "Rotates the keys that are due.", account = "rotator", timeout = 540, instances = 1
      entry = "scheduled", ingress = "ALLOW_INTERNAL_ONLY"
    }
    http = {
      about = "Answers the HTTP API.", account = "api", timeout = 200, instances = 5
      entry = "http", ingress = "ALLOW_ALL"
    }
    event = {
      about = "Does what is due of a key that Secret Manager reminds of.", account = "rotator", timeout = 540, instances = 5
      entry = "secret_event", ingress = "ALLOW_INTERNAL_ONLY"
    }
    } : name => function
    if(name != "http" || var.http_enabled) && (name != "event" || var.events_enabled)
  }
}

resource "google_storage_bucket" "source" {
  #checkov:skip=CKV_GCP_62:it holds the package that was deployed, no data
  #checkov:skip=CKV_GCP_78:each package has a name of its own, by its content

  project                     = var.project_id
  name                        = local.bucket_names.source
  location                    = var.region
  labels                      = var.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  depends_on = [google_project_service.this]
}

resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  name   = "${filesha256(var.package_path)}.zip"
  source = var.package_path
}

resource "google_cloudfunctions2_function" "this" {
  #checkov:skip=CKV_GCP_124:people call the API from anywhere, with IAM in front of it; the other functions are internal

  for_each = local.functions

  project     = var.project_id
  location    = var.region
  name        = "${var.name}-${each.key}"
  description = each.value.about
  labels      = var.labels

  build_config {
    runtime         = "python313"
    entry_point     = each.value.entry
    service_account = local.own_builder ? google_service_account.this["builder"].name : var.build_service_account

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.this[each.value.account].email
    ingress_settings                 = each.value.ingress
    timeout_seconds                  = each.value.timeout
    max_instance_count               = each.value.instances
    max_instance_request_concurrency = 1
    available_cpu                    = "1"
    available_memory                 = var.memory
    environment_variables            = local.environment
    vpc_connector                    = var.vpc_connector
    vpc_connector_egress_settings    = var.vpc_connector == null ? null : var.vpc_egress

    dynamic "secret_environment_variables" {
      for_each = local.has_endpoint_secret ? [var.endpoint_secret] : []

      content {
        key        = "DAENA_KMS_ENDPOINT_SECRET"
        project_id = var.project_id
        secret     = secret_environment_variables.value
        version    = "latest"
      }
    }
  }

  dynamic "event_trigger" {
    for_each = each.key == "event" ? [google_pubsub_topic.secrets[0].id] : []

    content {
      trigger_region        = var.region
      event_type            = "google.cloud.pubsub.topic.v1.messagePublished"
      pubsub_topic          = event_trigger.value
      service_account_email = google_service_account.this["events"].email
      retry_policy          = "RETRY_POLICY_RETRY"
    }
  }

  # A function that starts before its roles may do anything would only fail.
  depends_on = [
    google_project_iam_member.list, google_project_iam_member.rotate, google_project_iam_member.destroy,
    google_storage_bucket_iam_member.log, google_secret_manager_secret_iam_member.endpoint, time_sleep.roles,
  ]
}

# Who may call which function; nobody else can, and nobody without a token.
locals {
  callers = merge(
    { scheduler = { function = "scheduled", member = google_service_account.this["scheduler"].member } },
    { for name in keys(local.functions) : "events" => { function = name, member = google_service_account.this["events"].member } if name == "event" },
    { for member in var.http_callers : member => { function = "http", member = member } if var.http_enabled },
    { for name, member in var.http_caller_members : "caller ${name}" => { function = "http", member = member } if var.http_enabled },
  )
}

resource "google_cloud_run_v2_service_iam_member" "callers" {
  for_each = local.callers

  project  = var.project_id
  location = var.region
  name     = google_cloudfunctions2_function.this[each.value.function].name
  role     = "roles/run.invoker"
  member   = each.value.member
}
