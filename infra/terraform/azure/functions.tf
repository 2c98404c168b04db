resource "azurerm_service_plan" "this" {
  #checkov:skip=CKV_AZURE_211:Flex Consumption is a plan of its own
  #checkov:skip=CKV_AZURE_212:instances come with the work
  #checkov:skip=CKV_AZURE_225:a run that a zone's failure ended is made up for by the next

  name                = "${var.name}-plan"
  resource_group_name = var.resource_group_name
  location            = var.location
  os_type             = "Linux"
  sku_name            = "FC1"
  tags                = var.tags
}

# The package itself is deployed after this, by the Azure CLI: docs/DEPLOY.md.
resource "azurerm_function_app_flex_consumption" "this" {
  name                = "${var.name}-${local.suffix}"
  resource_group_name = var.resource_group_name
  location            = var.location
  service_plan_id     = azurerm_service_plan.this.id
  tags                = var.tags

  runtime_name           = "python"
  runtime_version        = "3.13"
  instance_memory_in_mb  = var.memory_megabytes
  maximum_instance_count = 40

  storage_container_type            = "blobContainer"
  storage_container_endpoint        = "${azurerm_storage_account.host.primary_blob_endpoint}${azurerm_storage_container.package.name}"
  storage_authentication_type       = "UserAssignedIdentity"
  storage_user_assigned_identity_id = azurerm_user_assigned_identity.rotator.id

  https_only                                     = true
  webdeploy_publish_basic_authentication_enabled = false
  virtual_network_subnet_id                      = var.subnet_id

  identity {
    type         = var.endpoint_secret_name == null ? "UserAssigned" : "SystemAssigned, UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.rotator.id]
  }

  site_config {
    minimum_tls_version                    = "1.2"
    application_insights_connection_string = azurerm_application_insights.this.connection_string
  }

  app_settings = merge(
    local.environment,
    {
      # The provider would write a connection string with a key that is switched off: azurerm#29149.
      AzureWebJobsStorage              = ""
      AzureWebJobsStorage__accountName = azurerm_storage_account.host.name
      AzureWebJobsStorage__credential  = "managedidentity"
      AzureWebJobsStorage__clientId    = azurerm_user_assigned_identity.rotator.client_id

      APPLICATIONINSIGHTS_AUTHENTICATION_STRING   = "Authorization=AAD;ClientId=${azurerm_user_assigned_identity.rotator.client_id}"
      PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY = "true"
      PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME      = "daena_kms"
    },
    { for name in var.endpoint_secret_name == null ? [] : [var.endpoint_secret_name] :
      "DAENA_KMS_ENDPOINT_SECRET" => "@Microsoft.KeyVault(SecretUri=${local.vault.url}/secrets/${name}/)"
    },
  )

  # Health is for everybody, and Event Grid brings the host's own key.
  dynamic "auth_settings_v2" {
    for_each = var.entra_client_id == null ? [] : [var.entra_client_id]

    content {
      auth_enabled           = true
      require_authentication = true
      unauthenticated_action = "Return401"
      excluded_paths         = ["/v1/health", "/runtime/webhooks/eventgrid"]
      default_provider       = "azureactivedirectory"

      active_directory_v2 {
        client_id            = auth_settings_v2.value
        tenant_auth_endpoint = "https://login.microsoftonline.com/${data.azurerm_client_config.current.tenant_id}/v2.0"
        allowed_audiences    = ["api://${auth_settings_v2.value}", auth_settings_v2.value]
      }

      login {
        token_store_enabled = false
      }
    }
  }

  # An app that starts before its identity may do anything would only fail.
  depends_on = [azurerm_role_assignment.this, azurerm_role_assignment.host]
}
