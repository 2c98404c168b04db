# What the functions read from their environment: docs/POLICY.md and docs/GCP.md. None is a secret.

variable "rotate_after" {
  description = "DAENA_KMS_ROTATE_AFTER: how old a current version may be, where a key's own tag says nothing. By default 90d."
  type        = string
  default     = null

  validation {
    condition     = var.rotate_after == null || can(regex("^[1-9][0-9]{0,5}[dh]$", var.rotate_after))
    error_message = "Write a duration in days or hours: 90d, 12h."
  }
}

variable "grace" {
  description = "DAENA_KMS_GRACE: how long a previous version of a password or token stays readable. By default 7d; at least 24h."
  type        = string
  default     = null

  validation {
    condition     = var.grace == null || var.grace == "never" || can(regex("^([1-9][0-9]{0,5}d|(2[4-9]|[3-9][0-9]|[1-9][0-9]{2,5})h)$", var.grace))
    error_message = "Write a duration of at least 24h, such as 7d, or never."
  }
}

variable "destroy_after" {
  description = "DAENA_KMS_DESTROY_AFTER: how long after its retirement a version is destroyed. By default never."
  type        = string
  default     = null

  validation {
    condition     = var.destroy_after == null || var.destroy_after == "never" || can(regex("^[1-9][0-9]{0,5}[dh]$", var.destroy_after))
    error_message = "Write a duration such as 30d, or never."
  }
}

variable "min_bits" {
  description = "DAENA_KMS_MIN_BITS: no value with fewer bits of entropy is generated, whatever a key's tags say. By default 112."
  type        = number
  default     = null

  validation {
    condition     = var.min_bits == null || try(var.min_bits >= 1 && var.min_bits <= 512 && floor(var.min_bits) == var.min_bits, false)
    error_message = "Use a whole number of bits from 1 to 512."
  }
}

variable "min_interval" {
  description = "DAENA_KMS_MIN_INTERVAL: how old a version must be before somebody may replace it over HTTP, so that a stolen trigger is no denial of service; null: any age."
  type        = string
  default     = "10m"

  validation {
    condition     = var.min_interval == null || can(regex("^[1-9][0-9]{0,5}[dhm]$", var.min_interval))
    error_message = "Write a duration in days, hours or minutes: 1d, 1h, 10m."
  }
}

variable "paused" {
  description = "DAENA_KMS_PAUSED: the kill switch. While it is true nothing is changed, and each run fails and says so."
  type        = bool
  default     = false
  nullable    = false
}

variable "access" {
  description = "DAENA_KMS_ACCESS: who may do what over HTTP, as a JSON text: docs/API.md. By default whoever the platform lets in may do everything."
  type        = string
  default     = null

  validation {
    condition     = var.access == null || can([for rule in jsondecode(var.access) : [rule.who, rule.may]])
    error_message = "Write a JSON list of rules with who and may; jsonencode() makes it."
  }
}

variable "endpoint" {
  description = "DAENA_KMS_ENDPOINT: the webhook's address. Its signing secret is endpoint_secret."
  type        = string
  default     = null

  validation {
    condition     = var.endpoint == null || can(regex("^https://[^/@?#\\s]+(/[^@?#\\s]*)?$", var.endpoint))
    error_message = "Write an https address without credentials and without a query."
  }
}

variable "endpoint_allow" {
  description = "DAENA_KMS_ENDPOINT_ALLOW: hosts that the webhook may be although their addresses are private. See docs/NOTIFICATIONS.md."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for host in var.endpoint_allow : can(regex("^[0-9A-Za-z.:-]+$", host))])
    error_message = "Each is a host's name or an address, without wildcards."
  }
}

variable "endpoint_secret" {
  description = "Id of the secret of this project that holds DAENA_KMS_ENDPOINT_SECRET. The platform reads it; its value never reaches Terraform."
  type        = string
  default     = null

  validation {
    condition     = var.endpoint_secret == null || can(regex("^[A-Za-z0-9_-]{1,255}$", var.endpoint_secret))
    error_message = "Give the secret's id, not its value and not its full name."
  }
}

variable "use_endpoint_secret" {
  description = "Whether there is an endpoint_secret. By default there is if it is not null; say true if that is computed in the same configuration."
  type        = bool
  default     = null
}
