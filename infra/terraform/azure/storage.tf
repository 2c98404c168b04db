# Two accounts, so that what the functions' host may do to its own says nothing about the log.

locals {
  audit_account = substr("${local.compact}log${local.suffix}", 0, 24)
  host_account  = substr("${local.compact}host${local.suffix}", 0, 24)
  audit_url     = "az://${local.audit_account}/${azurerm_storage_container.audit.name}"
  claims_url    = "az://${local.audit_account}/${azurerm_storage_container.claims.name}"
  # Container ids as role assignments want them: the resource manager's.
  scopes = { for name, container in { audit = "audit", claims = "claims" } :
    name => "${azurerm_storage_account.audit.id}/blobServices/default/containers/${container}"
  }
}

resource "azurerm_storage_account" "audit" {
  #checkov:skip=CKV_AZURE_43:the name is put together and cut to 24 characters; a test holds its form
  #checkov:skip=CKV2_AZURE_1:Microsoft's own keys on purpose: the log holds no value, and must be readable when the vault is gone
  #checkov:skip=CKV2_AZURE_33:with subnet_id only that subnet and the addresses of allowed_ips get in
  #checkov:skip=CKV2_AZURE_38:what can't be deleted needs no wastebasket
  #checkov:skip=CKV_AZURE_33:there is no queue
  #checkov:skip=CKV_AZURE_59:as for private endpoints
  #checkov:skip=CKV_AZURE_206:how it is copied is a variable, over zones by default
  #checkov:skip=CKV2_AZURE_41:there is no shared access signature without a shared key

  name                             = local.audit_account
  resource_group_name              = var.resource_group_name
  location                         = var.location
  account_tier                     = "Standard"
  account_replication_type         = var.replication
  min_tls_version                  = "TLS1_2"
  https_traffic_only_enabled       = true
  shared_access_key_enabled        = false
  default_to_oauth_authentication  = true
  allow_nested_items_to_be_public  = false
  cross_tenant_replication_enabled = false
  local_user_enabled               = false
  tags                             = var.tags

  dynamic "network_rules" {
    for_each = local.network_rules

    content {
      bypass                     = ["AzureServices"]
      default_action             = "Deny"
      virtual_network_subnet_ids = [network_rules.value]
      ip_rules                   = var.allowed_ips
    }
  }
}

resource "azurerm_storage_container" "audit" {
  #checkov:skip=CKV2_AZURE_21:the vault's own audit events tell who changed what; reading the log changes nothing

  name                  = "audit"
  storage_account_id    = azurerm_storage_account.audit.id
  container_access_type = "private"
}

resource "azurerm_storage_container_immutability_policy" "audit" {
  storage_container_resource_manager_id = local.scopes.audit
  immutability_period_in_days           = var.audit_retention_days
  protected_append_writes_enabled       = false
  locked                                = var.audit_retention_locked

  depends_on = [azurerm_storage_container.audit]
}

# Claims are a hundred bytes for each rotation and stay: docs/AZURE.md.
resource "azurerm_storage_container" "claims" {
  #checkov:skip=CKV2_AZURE_21:as for the log

  name                  = "claims"
  storage_account_id    = azurerm_storage_account.audit.id
  container_access_type = "private"
}

resource "azurerm_storage_account" "host" {
  #checkov:skip=CKV_AZURE_43:the name is put together and cut to 24 characters; a test holds its form
  #checkov:skip=CKV2_AZURE_1:it holds the package and the timer's lease, no data
  #checkov:skip=CKV2_AZURE_33:the platform itself reads the package from it
  #checkov:skip=CKV2_AZURE_38:what is in it is written anew by a deployment
  #checkov:skip=CKV_AZURE_33:there is no queue
  #checkov:skip=CKV_AZURE_35:as for private endpoints
  #checkov:skip=CKV_AZURE_59:as for private endpoints
  #checkov:skip=CKV_AZURE_206:a deployment writes it anew
  #checkov:skip=CKV2_AZURE_41:there is no shared access signature without a shared key

  name                             = local.host_account
  resource_group_name              = var.resource_group_name
  location                         = var.location
  account_tier                     = "Standard"
  account_replication_type         = var.replication
  min_tls_version                  = "TLS1_2"
  https_traffic_only_enabled       = true
  shared_access_key_enabled        = false
  default_to_oauth_authentication  = true
  allow_nested_items_to_be_public  = false
  cross_tenant_replication_enabled = false
  local_user_enabled               = false
  tags                             = var.tags
}

resource "azurerm_storage_container" "package" {
  #checkov:skip=CKV2_AZURE_21:it holds the package, no data

  name                  = "package"
  storage_account_id    = azurerm_storage_account.host.id
  container_access_type = "private"
}

resource "azurerm_storage_container" "dead_letters" {
  #checkov:skip=CKV2_AZURE_21:it holds events without values

  count = var.events_enabled ? 1 : 0

  name                  = "dead-letters"
  storage_account_id    = azurerm_storage_account.host.id
  container_access_type = "private"
}
