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
  default     = ["billing-", "checkout-"]
  nullable    = false
}

variable "alarm_email" {
  description = "Who is told of alarms."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[^@\\s]+@[^@\\s]+$", var.alarm_email))
    error_message = "Write an e-mail address."
  }
}

variable "auditors" {
  description = "Who may act as the auditor."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "on_call" {
  description = "Who may use the HTTP API."
  type        = list(string)
  default     = []
  nullable    = false
}
