# For a subscription that others depend on: a network of its own, a log that nobody can shorten,
# callers with names, events, and somebody who is told.

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
  storage_use_azuread = true

  features {
    key_vault {
      purge_soft_delete_on_destroy = false
    }
  }
}

resource "azurerm_resource_group" "rotation" {
  name     = "daena-kms"
  location = var.location
}

module "daena_kms" {
  source = "../../azure"

  resource_group_name = azurerm_resource_group.rotation.name
  location            = azurerm_resource_group.rotation.location
  tags                = { service = "daena-kms" }

  subnet_id   = azurerm_subnet.functions.id
  allowed_ips = var.allowed_ips

  audit_retention_days   = 400
  audit_retention_locked = true
  auditor_principal_ids  = var.auditor_principal_ids
  operator_principal_ids = var.operator_principal_ids

  schedule              = "0 7 * * * *"
  expected_within_hours = 3
  events_enabled        = var.package_is_deployed
  entra_client_id       = var.entra_client_id
  min_interval          = "1h"

  action_group_ids = [azurerm_monitor_action_group.on_call.id]
}

resource "azurerm_virtual_network" "rotation" {
  name                = "daena-kms"
  resource_group_name = azurerm_resource_group.rotation.name
  location            = azurerm_resource_group.rotation.location
  address_space       = ["10.64.0.0/24"]
}

resource "azurerm_subnet" "functions" {
  #checkov:skip=CKV2_AZURE_31:nothing listens in this subnet

  name                 = "functions"
  resource_group_name  = azurerm_resource_group.rotation.name
  virtual_network_name = azurerm_virtual_network.rotation.name
  address_prefixes     = ["10.64.0.0/26"]
  service_endpoints    = ["Microsoft.KeyVault", "Microsoft.Storage"]

  delegation {
    name = "flex"

    service_delegation {
      name    = "Microsoft.App/environments"
      actions = ["Microsoft.Network/virtualNetworks/subnets/join/action"]
    }
  }
}

resource "azurerm_monitor_action_group" "on_call" {
  name                = "daena-kms-on-call"
  resource_group_name = azurerm_resource_group.rotation.name
  short_name          = "daena-kms"

  email_receiver {
    name          = "on call"
    email_address = var.alarm_email
  }
}
