locals {
  makes_vault = var.key_vault_id == null
  vault_name  = local.makes_vault ? "${var.name}-${local.suffix}" : element(split("/", var.key_vault_id), 8)
  vault = {
    id   = local.makes_vault ? azurerm_key_vault.this[0].id : var.key_vault_id
    name = local.vault_name
    url  = "https://${local.vault_name}.${var.key_vault_dns_suffix}"
  }

  network_rules = var.subnet_id == null ? [] : [var.subnet_id]
}

resource "azurerm_key_vault" "this" {
  #checkov:skip=CKV_AZURE_189:with subnet_id only that subnet and the addresses of allowed_ips get in; a private endpoint is the owner's network
  #checkov:skip=CKV2_AZURE_32:as above
  #checkov:skip=CKV_AZURE_109:the rule is there once subnet_id is

  count = local.makes_vault ? 1 : 0

  name                       = local.vault_name
  resource_group_name        = var.resource_group_name
  location                   = var.location
  tenant_id                  = data.azurerm_client_config.current.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = var.deleted_for_days
  tags                       = var.tags

  dynamic "network_acls" {
    for_each = local.network_rules

    content {
      bypass                     = "AzureServices"
      default_action             = "Deny"
      virtual_network_subnet_ids = [network_acls.value]
      ip_rules                   = var.allowed_ips
    }
  }
}

# Who read and who wrote which secret: the vault's own account of it, beside ours.
resource "azurerm_monitor_diagnostic_setting" "vault" {
  name                           = "${var.name}-audit"
  target_resource_id             = local.vault.id
  log_analytics_workspace_id     = azurerm_log_analytics_workspace.this.id
  log_analytics_destination_type = "Dedicated"

  enabled_log {
    category = "AuditEvent"
  }

  enabled_log {
    category = "AzurePolicyEvaluationDetails"
  }

  enabled_metric {
    category = "AllMetrics"
  }
}
