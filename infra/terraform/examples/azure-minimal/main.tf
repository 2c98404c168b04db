# The least that rotates keys: everything else has a default.

terraform {
  required_version = ">= 1.9"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.0"
    }
  }
}

provider "azurerm" {
  # Storage has no shared keys.
  storage_use_azuread = true

  features {}
}

variable "location" {
  description = "Region to deploy in."
  type        = string
  default     = "westeurope"
  nullable    = false
}

resource "azurerm_resource_group" "rotation" {
  name     = "daena-kms"
  location = var.location
}

module "daena_kms" {
  source = "../../azure"

  resource_group_name = azurerm_resource_group.rotation.name
  location            = azurerm_resource_group.rotation.location

  # Whoever deploys may create keys, too.
  operator_principal_ids = [data.azurerm_client_config.current.object_id]
}

data "azurerm_client_config" "current" {}

output "function_app_name" {
  description = "The function app, to deploy the package to."
  value       = module.daena_kms.function_app_name
}

output "key_vault_url" {
  description = "AZURE_KEY_VAULT_URL for the command line."
  value       = module.daena_kms.key_vault_url
}

output "audit_url" {
  description = "DAENA_KMS_AUDIT_URL for the command line."
  value       = module.daena_kms.audit_url
}
