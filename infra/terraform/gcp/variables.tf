variable "project_id" {
  description = "Id of the project whose secrets are rotated, and in which everything is made."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "Give the project's id, not its name or number."
  }
}

variable "region" {
  description = "Region of the functions, the schedule and the buckets."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "Write a region such as europe-west1."
  }
}

variable "package_path" {
  description = "Path of the Cloud Functions source zip, built by `make package`."
  type        = string
  nullable    = false

  validation {
    condition     = endswith(var.package_path, ".zip")
    error_message = "The package is a .zip file."
  }
}

variable "name" {
  description = "Prefix of every name that this module gives. One deployment per project and name."
  type        = string
  default     = "daena-kms"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,16}[a-z0-9]$", var.name))
    error_message = "Use 3 to 18 lower-case letters, digits and hyphens, and begin with a letter: service accounts have short names."
  }

  validation {
    condition     = !strcontains(var.name, "google") && !startswith(var.name, "goog")
    error_message = "No bucket may be named so: leave out google."
  }
}

variable "labels" {
  description = "Labels of every resource that takes some."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "Labels are lower-case letters, digits, hyphens and underscores."
  }

  validation {
    condition     = !contains(keys(var.labels), "daena-managed")
    error_message = "The label daena-managed is for keys."
  }
}

variable "enable_apis" {
  description = "Whether to switch on the APIs that are needed. They are left on when this module is removed."
  type        = bool
  default     = true
  nullable    = false
}

variable "memory" {
  description = "Memory of each function."
  type        = string
  default     = "512Mi"
  nullable    = false

  validation {
    condition     = contains(["512Mi", "1Gi", "2Gi"], var.memory)
    error_message = "Use 512Mi, 1Gi or 2Gi."
  }
}

variable "build_service_account" {
  description = "Full name of the service account that builds the functions (projects/…/serviceAccounts/…). By default one that is made for it."
  type        = string
  default     = null

  validation {
    condition     = var.build_service_account == null || can(regex("^projects/[^/]+/serviceAccounts/[^/]+@[^/]+$", var.build_service_account))
    error_message = "Write projects/PROJECT/serviceAccounts/EMAIL."
  }
}

variable "create_build_service_account" {
  description = "Whether an account is made that builds the functions. By default it is where build_service_account is null; say false if that is computed in the same configuration."
  type        = bool
  default     = null
}

variable "create_service_identities" {
  description = "Whether an apply makes, with gcloud, the accounts by which Secret Manager and Eventarc act in the project. If not, run scripts/service-identities before it."
  type        = bool
  default     = true
  nullable    = false
}

variable "vpc_connector" {
  description = "Serverless VPC Access connector through which the functions reach private addresses (projects/…/connectors/…), such as a webhook's. By default none."
  type        = string
  default     = null

  validation {
    condition     = var.vpc_connector == null || can(regex("^projects/[^/]+/locations/[^/]+/connectors/[^/]+$", var.vpc_connector))
    error_message = "Write projects/PROJECT/locations/REGION/connectors/NAME."
  }
}

variable "vpc_egress" {
  description = "What goes through vpc_connector: PRIVATE_RANGES_ONLY or ALL_TRAFFIC."
  type        = string
  default     = "PRIVATE_RANGES_ONLY"
  nullable    = false

  validation {
    condition     = contains(["PRIVATE_RANGES_ONLY", "ALL_TRAFFIC"], var.vpc_egress)
    error_message = "Use PRIVATE_RANGES_ONLY or ALL_TRAFFIC."
  }
}

variable "schedule" {
  description = "When a run begins, as a cron expression of five fields. A run does nothing when no key is due."
  type        = string
  default     = "7 * * * *"
  nullable    = false

  validation {
    condition     = can(regex("^[^ ]+( [^ ]+){4}$", var.schedule))
    error_message = "Write five fields, such as 7 * * * *."
  }
}

variable "time_zone" {
  description = "Time zone of the schedule."
  type        = string
  default     = "Etc/UTC"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Z][A-Za-z]+/[A-Za-z_/+-]+[0-9]*$", var.time_zone))
    error_message = "Write a name of the tz database, such as Etc/UTC."
  }
}

variable "expected_within_hours" {
  description = "The alarm `no-run` rings when no run has ended for so many hours. At least twice the schedule's interval."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.expected_within_hours >= 1 && var.expected_within_hours <= 23 && floor(var.expected_within_hours) == var.expected_within_hours
    error_message = "Use a whole number of hours from 1 to 23, which is as far as an alarm on silence looks back."
  }
}

variable "secret_location" {
  description = "Location of regional secrets. By default the global ones are rotated."
  type        = string
  default     = null

  validation {
    condition     = var.secret_location == null || can(regex("^[a-z]+-[a-z]+[0-9]+$", var.secret_location))
    error_message = "Write a location such as europe-west1."
  }
}

variable "secret_id_prefixes" {
  description = "Beginnings of the ids of the secrets that may be changed. Required, unless all_secrets is true."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.secret_id_prefixes) <= 10 && alltrue([for prefix in var.secret_id_prefixes : can(regex("^[a-z][a-z0-9-]{0,99}$", prefix))])
    error_message = "At most ten, each a key id or its beginning: lower-case letters, digits, hyphens."
  }

  validation {
    condition     = var.all_secrets != (length(var.secret_id_prefixes) > 0)
    error_message = "Name the secrets that may be changed, or say all_secrets = true, which lets the functions change every secret of the project; not both."
  }
}

variable "all_secrets" {
  description = "Whether every secret of the project may be changed, whatever its id, those that others use included."
  type        = bool
  default     = false
  nullable    = false
}

variable "kms_key_names" {
  description = "Cloud KMS keys that encrypt the secrets (projects/…/cryptoKeys/…): they are watched, and put out as GCP_KMS_KEY_NAMES."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.kms_key_names : can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", name))])
    error_message = "Write projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}

variable "audit_bucket_name" {
  description = "Name of the audit log's bucket. By default made of the project and the name."
  type        = string
  default     = null

  validation {
    condition     = var.audit_bucket_name == null || can(regex("^[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$", var.audit_bucket_name))
    error_message = "Use 3 to 63 lower-case letters, digits, hyphens and underscores."
  }

  validation {
    condition     = var.audit_bucket_name == null || try(!strcontains(var.audit_bucket_name, "google") && !startswith(var.audit_bucket_name, "goog"), false)
    error_message = "No bucket may be named so: leave out google."
  }
}

variable "audit_retention_days" {
  description = "For how many days nobody can delete or overwrite an object of the audit log."
  type        = number
  default     = 400
  nullable    = false

  validation {
    condition     = var.audit_retention_days >= 1 && var.audit_retention_days <= 24855 && floor(var.audit_retention_days) == var.audit_retention_days
    error_message = "Use a whole number of days from 1 to 24855: the provider counts seconds in 31 bits before its version 7."
  }
}

variable "audit_retention_locked" {
  description = "Whether the retention can never be shortened again, by nobody. It can't be undone, and the bucket can't be removed before its time."
  type        = bool
  default     = false
  nullable    = false
}

variable "auditors" {
  description = "Who may act as the auditor's service account, which reads the log and the secrets' metadata: user:…, group:…, serviceAccount:…"
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.auditors : can(regex("^(user|group|serviceAccount):[^@]+@[^@]+$", member))])
    error_message = "Each is user:, group: or serviceAccount: with an address."
  }
}

variable "auditor_members" {
  description = "As auditors, each under a name of your choice: the members may be computed in the same configuration."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for member in var.auditor_members : can(regex("^(user|group|serviceAccount):[^@]+@[^@]+$", member))])
    error_message = "Each is user:, group: or serviceAccount: with an address."
  }
}

variable "http_enabled" {
  description = "Whether there is an HTTP API, behind IAM."
  type        = bool
  default     = true
  nullable    = false
}

variable "http_changes" {
  description = "Whether the HTTP API may also roll back, which reads values. All else needs no more than a run."
  type        = bool
  default     = false
  nullable    = false
}

variable "http_policy" {
  description = "DAENA_KMS_HTTP_POLICY: whether the HTTP API may also change the policies of keys. It needs no right that a run does not have."
  type        = bool
  default     = false
  nullable    = false
}

variable "http_destroys" {
  description = "Whether the HTTP API may also destroy the versions whose time is over, as the schedule does. Without it such a version waits for the schedule, and a run by POST /v1/runs reports it as failed."
  type        = bool
  default     = false
  nullable    = false
}

variable "http_callers" {
  description = "Who may call the HTTP API: user:…, group:…, serviceAccount:…"
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.http_callers : can(regex("^(user|group|serviceAccount):[^@]+@[^@]+$", member))])
    error_message = "Each is user:, group: or serviceAccount: with an address: the API is not for everybody."
  }
}

variable "http_caller_members" {
  description = "As http_callers, each under a name of your choice: the members may be computed in the same configuration."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for member in var.http_caller_members : can(regex("^(user|group|serviceAccount):[^@]+@[^@]+$", member))])
    error_message = "Each is user:, group: or serviceAccount: with an address: the API is not for everybody."
  }
}

variable "events_enabled" {
  description = "Whether Secret Manager's own notifications (SECRET_ROTATE) start a rotation of that key."
  type        = bool
  default     = true
  nullable    = false
}

variable "audited_log_types" {
  description = "Data Access logs of Secret Manager to switch on in the whole project. This replaces what was set for that service; an empty list leaves it alone."
  type        = list(string)
  default     = ["ADMIN_READ", "DATA_READ", "DATA_WRITE"]
  nullable    = false

  validation {
    condition     = alltrue([for type in var.audited_log_types : contains(["ADMIN_READ", "DATA_READ", "DATA_WRITE"], type)])
    error_message = "Use ADMIN_READ, DATA_READ and DATA_WRITE."
  }
}

variable "notification_channels" {
  description = "Notification channels of Cloud Monitoring that every alarm uses (projects/…/notificationChannels/…)."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", name))])
    error_message = "Write projects/PROJECT/notificationChannels/ID."
  }
}
