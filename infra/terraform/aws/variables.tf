variable "package_path" {
  description = "Path of the Lambda zip, built by `make package` for the same architecture."
  type        = string
  nullable    = false

  validation {
    condition     = endswith(var.package_path, ".zip")
    error_message = "The package is a .zip file."
  }
}

variable "name" {
  description = "Prefix of every name that this module gives. One deployment per account and name: roles have no region. Figures have no name: one per account and region."
  type        = string
  default     = "daena-kms"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,24}[a-z0-9]$", var.name))
    error_message = "Use 3 to 26 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "region" {
  description = "Region of everything that has one. By default the provider's."
  type        = string
  default     = null

  validation {
    condition     = var.region == null || can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "Write a region such as eu-central-1."
  }
}

variable "tags" {
  description = "Tags of every resource that takes some."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(key, "daena.")])
    error_message = "Tags that begin with \"daena.\" are the policy of keys, not of resources."
  }
}

variable "architecture" {
  description = "Processor of the functions: arm64 (cheaper) or x86_64. The package must be built for it."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "Use arm64 or x86_64."
  }
}

variable "memory_megabytes" {
  description = "Memory of each function. More memory is more processor, too."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.memory_megabytes >= 256 && var.memory_megabytes <= 3008
    error_message = "Use 256 to 3008 megabytes."
  }
}

variable "schedule" {
  description = "When a run begins, as EventBridge Scheduler writes it: rate(1 hour), or cron(7 * * * ? *). A run does nothing when no key is due."
  type        = string
  default     = "rate(1 hour)"
  nullable    = false

  validation {
    condition     = can(regex("^(rate\\([1-9][0-9]* (minute|minutes|hour|hours|day|days)\\)|cron\\([^()]+\\))$", var.schedule))
    error_message = "Write rate(1 hour) or cron(7 * * * ? *)."
  }
}

variable "expected_within_hours" {
  description = "The alarm `no-run` rings when no run has ended for so many hours. At least twice the schedule's interval."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.expected_within_hours >= 1 && var.expected_within_hours <= 168 && floor(var.expected_within_hours) == var.expected_within_hours
    error_message = "Use a whole number of hours from 1 to 168, which is as far as an alarm looks back."
  }
}

variable "secret_name_patterns" {
  description = "Names of the secrets that may be rotated, with * as a wildcard at the end. Whatever stands here, only secrets tagged daena.managed=true can be changed."
  type        = list(string)
  default     = ["*"]
  nullable    = false

  validation {
    condition     = length(var.secret_name_patterns) > 0 && alltrue([for name in var.secret_name_patterns : can(regex("^([a-z][a-z0-9-]{0,99})?\\*?$", name)) && name != ""])
    error_message = "Each is a key id (lower-case letters, digits, hyphens), one with a * at its end, or * alone."
  }
}

variable "kms_key_arn" {
  description = "ARN of a symmetric KMS key of your own for values and random bytes. By default the module makes one with yearly rotation."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-zA-Z-]+$", var.kms_key_arn))
    error_message = "Give the ARN of a key, not an alias: arn:aws:kms:eu-central-1:111122223333:key/…"
  }
}

variable "create_kms_key" {
  description = "Whether the module makes a KMS key. By default it does where `kms_key_arn` is null. Set it to false where that ARN comes from the same configuration, and to true to keep the key that the module made when you change to one of your own."
  type        = bool
  default     = null

  validation {
    condition     = var.create_kms_key != false || var.kms_key_arn != null
    error_message = "Without a key of the module's, give one of your own as kms_key_arn."
  }
}

variable "additional_kms_key_arns" {
  description = "Further KMS keys under which there are secrets to rotate, beside the one for new secrets."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.additional_kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-zA-Z-]+$", arn))])
    error_message = "Give the ARNs of keys, not aliases: arn:aws:kms:eu-central-1:111122223333:key/…"
  }
}

variable "kms_administrator_arns" {
  description = "Who may administer the KMS key that this module makes, beside whom the account's IAM policies allow."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.kms_administrator_arns : can(regex("^arn:[a-z-]+:(iam|sts)::[0-9]{12}:.+$", arn))])
    error_message = "Each is the ARN of a role or a user."
  }
}

variable "audit_bucket_name" {
  description = "Name of the audit log's bucket. By default made of the name, the account and the region."
  type        = string
  default     = null

  validation {
    condition     = var.audit_bucket_name == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.audit_bucket_name))
    error_message = "Use 3 to 63 lower-case letters, digits and hyphens."
  }
}

variable "audit_retention_days" {
  description = "For how many days nobody can delete an object of the audit log (S3 Object Lock)."
  type        = number
  default     = 400
  nullable    = false

  validation {
    condition     = var.audit_retention_days >= 1 && var.audit_retention_days <= 36500 && floor(var.audit_retention_days) == var.audit_retention_days
    error_message = "Use a whole number of days from 1 to 36500."
  }
}

variable "audit_retention_mode" {
  description = "GOVERNANCE: who has s3:BypassGovernanceRetention can delete all the same. COMPLIANCE: nobody can, not even the account's owner."
  type        = string
  default     = "GOVERNANCE"
  nullable    = false

  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.audit_retention_mode)
    error_message = "Use GOVERNANCE or COMPLIANCE."
  }
}

variable "auditor_arns" {
  description = "Roles or users that may read the audit log, from this or another account."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.auditor_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(root|role/.+|user/.+)$", arn))])
    error_message = "Each is the ARN of a role, of a user or of an account's root."
  }
}

variable "log_retention_days" {
  description = "For how many days CloudWatch keeps the functions' logs."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "Use one of CloudWatch's own numbers of days, from 30."
  }
}

variable "http_enabled" {
  description = "Whether there is an HTTP API behind a function URL with AWS_IAM."
  type        = bool
  default     = true
  nullable    = false
}

variable "http_changes" {
  description = "Whether the HTTP API may also roll back (which reads values), hold and release. Rotation on demand needs none of it."
  type        = bool
  default     = false
  nullable    = false
}

variable "http_policy" {
  description = "DAENA_KMS_HTTP_POLICY: whether the HTTP API may also change the policies of keys: the right to set the six tags of a policy on managed secrets."
  type        = bool
  default     = false
  nullable    = false
}

variable "http_caller_arns" {
  description = "Roles or users that the function itself lets call its URL. In the same account an IAM policy of the caller's does, too."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.http_caller_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "Each is the ARN of a role or a user: the API is not for everybody."
  }
}

variable "http_callers" {
  description = "The same as `http_caller_arns`, by names of your choice: for roles that the same configuration makes, whose ARNs are known only after an apply."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.http_callers) : can(regex("^[A-Za-z0-9_-]{1,40}$", name))])
    error_message = "Names have 1 to 40 letters, digits, hyphens and underscores."
  }

  validation {
    condition     = alltrue([for arn in values(var.http_callers) : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "Give the ARNs of roles or users."
  }
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of every role, where the organisation asks for one."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "Give the ARN of a policy."
  }
}

variable "alarm_actions" {
  description = "ARNs that every alarm notifies when it rings and when it is over, such as an SNS topic."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_actions : can(regex("^arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$", arn))])
    error_message = "Each is an ARN."
  }
}
