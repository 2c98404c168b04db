variable "location" {
  description = "Region to deploy in."
  type        = string
  default     = "westeurope"
  nullable    = false
}

variable "package_is_deployed" {
  description = "Whether the package has been deployed: only then can Event Grid find the function."
  type        = bool
  default     = false
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

variable "entra_client_id" {
  description = "Client id of the app registration that callers of the API sign in to."
  type        = string
  default     = null
}

variable "allowed_ips" {
  description = "Addresses of people and pipelines that may reach vault and log."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "auditor_principal_ids" {
  description = "Object ids of auditors."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "operator_principal_ids" {
  description = "Object ids of operators."
  type        = list(string)
  default     = []
  nullable    = false
}
