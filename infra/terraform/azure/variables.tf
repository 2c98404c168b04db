variable "resource_group_name" {
  description = "Name of the resource group, which exists already."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._()-]{1,89}[A-Za-z0-9_()-]$", var.resource_group_name))
    error_message = "Give the name of a resource group, not its id."
  }
}

variable "location" {
  description = "Region of everything, where Flex Consumption is offered: az functionapp list-flexconsumption-locations."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]+$", var.location))
    error_message = "Write a region's short name, such as westeurope."
  }
}

variable "name" {
  description = "Prefix of every name that this module gives. One deployment per resource group and name."
  type        = string
  default     = "daena-kms"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,13}[a-z0-9]$", var.name))
    error_message = "Use 3 to 15 lower-case letters, digits and hyphens, and begin with a letter: vaults have short names."
  }

  validation {
    condition     = !strcontains(var.name, "--")
    error_message = "Use no two hyphens in a row: a vault's name has none."
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

variable "key_vault_id" {
  description = "Id of a vault of your own, in RBAC mode, with purge protection. By default the module makes one."
  type        = string
  default     = null

  validation {
    condition     = var.key_vault_id == null || can(regex("^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.KeyVault/vaults/[^/]+$", var.key_vault_id))
    error_message = "Write /subscriptions/…/resourceGroups/…/providers/Microsoft.KeyVault/vaults/…"
  }
}

variable "key_vault_dns_suffix" {
  description = "Where vaults are found in this cloud."
  type        = string
  default     = "vault.azure.net"
  nullable    = false

  validation {
    condition     = can(regex("^vault\\.[a-z0-9.-]+$", var.key_vault_dns_suffix))
    error_message = "Write vault.azure.net, vault.usgovcloudapi.net or vault.azure.cn."
  }
}

variable "deleted_for_days" {
  description = "For how many days a deleted key can be restored. It can't be changed later."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.deleted_for_days >= 7 && var.deleted_for_days <= 90 && floor(var.deleted_for_days) == var.deleted_for_days
    error_message = "Use a whole number of days from 7 to 90."
  }
}

variable "subnet_id" {
  description = "Subnet for the functions, delegated to Microsoft.App/environments, with service endpoints for Key Vault and Storage. With it, vault and log refuse other networks."
  type        = string
  default     = null

  validation {
    condition     = var.subnet_id == null || can(regex("^/subscriptions/.+/virtualNetworks/[^/]+/subnets/[^/]+$", var.subnet_id))
    error_message = "Give the id of a subnet."
  }
}

variable "allowed_ips" {
  description = "Public addresses of people and pipelines that may reach vault and log, too. Only with subnet_id."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for ip in var.allowed_ips : can(cidrhost(strcontains(ip, "/") ? ip : "${ip}/32", 0))])
    error_message = "Each is an IPv4 address or a range of them."
  }

  validation {
    condition     = length(var.allowed_ips) == 0 || var.subnet_id != null
    error_message = "Without subnet_id no network is refused, and addresses mean nothing."
  }
}

variable "audit_retention_days" {
  description = "For how many days nobody can delete or overwrite an object of the audit log."
  type        = number
  default     = 400
  nullable    = false

  validation {
    condition     = var.audit_retention_days >= 1 && var.audit_retention_days <= 146000 && floor(var.audit_retention_days) == var.audit_retention_days
    error_message = "Use a whole number of days from 1 to 146000."
  }
}

variable "audit_retention_locked" {
  description = "Whether the retention can never be shortened again, by nobody. It can't be undone, and the account can't be removed before its time."
  type        = bool
  default     = false
  nullable    = false
}

variable "replication" {
  description = "How storage is copied: LRS, ZRS, GRS, GZRS, RAGRS or RAGZRS."
  type        = string
  default     = "ZRS"
  nullable    = false

  validation {
    condition     = contains(["LRS", "ZRS", "GRS", "GZRS", "RAGRS", "RAGZRS"], var.replication)
    error_message = "Use LRS, ZRS, GRS, GZRS, RAGRS or RAGZRS."
  }
}

variable "auditor_principal_ids" {
  description = "Object ids of whoever reads the audit log. To compare it with the vault takes the role to rotate: of versions made within seconds, only a read with the value shows the newest."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.auditor_principal_ids : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "Each is the object id of a user, a group or a service principal."
  }
}

variable "operator_principal_ids" {
  description = "Object ids of whoever creates, adopts, rolls back and deletes keys with the command line."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.operator_principal_ids : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "Each is the object id of a user, a group or a service principal."
  }
}

variable "schedule" {
  description = "DAENA_KMS_SCHEDULE: when a run begins, in six fields, in UTC. A run does nothing when no key is due."
  type        = string
  default     = "0 7 * * * *"
  nullable    = false

  validation {
    condition     = can(regex("^[^ ]+( [^ ]+){5}$", var.schedule))
    error_message = "Write six fields, such as 0 7 * * * *."
  }
}

variable "expected_within_hours" {
  description = "The alarm `no-run` rings when no run has ended for so many hours. At least twice the schedule's interval."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = contains([1, 2, 3, 4, 5, 6, 24, 48], var.expected_within_hours)
    error_message = "Use 1 to 6, 24 or 48 hours: Azure Monitor looks back no other time."
  }
}

variable "memory_megabytes" {
  description = "Memory of an instance: 512, 2048 or 4096."
  type        = number
  default     = 2048
  nullable    = false

  validation {
    condition     = contains([512, 2048, 4096], var.memory_megabytes)
    error_message = "Use 512, 2048 or 4096."
  }
}

variable "events_enabled" {
  description = "Whether Key Vault's SecretNearExpiry events start a rotation of that key. Switch it on once the package is deployed: Azure asks for the function."
  type        = bool
  default     = false
  nullable    = false
}

variable "expire" {
  description = "DAENA_KMS_EXPIRE: whether versions get an expiry date, the moment when they are due. See docs/AZURE.md before."
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

variable "entra_client_id" {
  description = "Client id of an app registration: with it, callers of the API sign in with Entra ID beside the function's key, and are named in the log."
  type        = string
  default     = null

  validation {
    condition     = var.entra_client_id == null || can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.entra_client_id))
    error_message = "Give the application (client) id."
  }
}

variable "log_retention_days" {
  description = "For how many days the workspace keeps logs, metrics and the vault's own audit events."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition     = var.log_retention_days >= 30 && var.log_retention_days <= 730 && floor(var.log_retention_days) == var.log_retention_days
    error_message = "Use a whole number of days from 30 to 730."
  }
}

variable "action_group_ids" {
  description = "Action groups that every alarm calls."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.action_group_ids : can(regex("(?i)^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Insights/actionGroups/[^/]+$", id))])
    error_message = "Write /subscriptions/…/resourceGroups/…/providers/Microsoft.Insights/actionGroups/…"
  }
}
