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

variable "secret_name_patterns" {
  description = "Names of the secrets that may be rotated."
  type        = list(string)
  default     = ["billing-*", "checkout-*"]
  nullable    = false
}

variable "alarm_email" {
  description = "Who is told of alarms; AWS asks that address to confirm."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[^@\\s]+@[^@\\s]+$", var.alarm_email))
    error_message = "Write an e-mail address."
  }
}

variable "auditor_arns" {
  description = "Who may read the audit log."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "on_call_arns" {
  description = "Roles that may use the HTTP API."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "administrator_arns" {
  description = "Roles that may administer the KMS key."
  type        = list(string)
  default     = []
  nullable    = false
}
