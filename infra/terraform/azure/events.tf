resource "azurerm_eventgrid_system_topic" "vault" {
  count = var.events_enabled ? 1 : 0

  name                = "${var.name}-vault"
  resource_group_name = var.resource_group_name
  location            = var.location
  source_resource_id  = local.vault.id
  topic_type          = "Microsoft.KeyVault.vaults"
  tags                = var.tags

  identity {
    type = "SystemAssigned"
  }
}

# Dead letters go into one container, in the topic's own name.
resource "azurerm_role_assignment" "dead_letters" {
  count = var.events_enabled ? 1 : 0

  scope                = "${azurerm_storage_account.host.id}/blobServices/default/containers/${azurerm_storage_container.dead_letters[0].name}"
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_eventgrid_system_topic.vault[0].identity[0].principal_id
}

resource "azurerm_eventgrid_system_topic_event_subscription" "expiring" {
  count = var.events_enabled ? 1 : 0

  name                = "${var.name}-expiring"
  resource_group_name = var.resource_group_name
  system_topic        = azurerm_eventgrid_system_topic.vault[0].name

  event_delivery_schema = "EventGridSchema"
  included_event_types  = ["Microsoft.KeyVault.SecretNearExpiry"]

  azure_function_endpoint {
    function_id                       = "${azurerm_function_app_flex_consumption.this.id}/functions/expiring"
    max_events_per_batch              = 1
    preferred_batch_size_in_kilobytes = 64
  }

  retry_policy {
    max_delivery_attempts = 10
    event_time_to_live    = 1440
  }

  storage_blob_dead_letter_destination {
    storage_account_id          = azurerm_storage_account.host.id
    storage_blob_container_name = azurerm_storage_container.dead_letters[0].name
  }

  dead_letter_identity {
    type = "SystemAssigned"
  }

  depends_on = [azurerm_role_assignment.dead_letters]
}
