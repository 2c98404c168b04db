# Values that Azure would have given, in the forms that the module takes apart.

mock_data "azurerm_client_config" {
  defaults = {
    subscription_id = "00000000-0000-4000-8000-000000000001"
    tenant_id       = "00000000-0000-4000-8000-000000000002"
    object_id       = "00000000-0000-4000-8000-00000000000d"
  }
}

mock_resource "azurerm_user_assigned_identity" {
  defaults = {
    id           = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rotation/providers/Microsoft.ManagedIdentity/userAssignedIdentities/daena-kms-rotator"
    client_id    = "00000000-0000-4000-8000-000000000003"
    principal_id = "00000000-0000-4000-8000-000000000004"
  }
}

mock_resource "azurerm_key_vault" {
  defaults = { id = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rotation/providers/Microsoft.KeyVault/vaults/made-up" }
}

mock_resource "azurerm_storage_account" {
  defaults = {
    id                    = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rotation/providers/Microsoft.Storage/storageAccounts/madeup"
    primary_blob_endpoint = "https://madeup.blob.core.windows.net/"
  }
}

mock_resource "azurerm_service_plan" {
  defaults = { id = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rotation/providers/Microsoft.Web/serverFarms/daena-kms-plan" }
}

mock_resource "azurerm_function_app_flex_consumption" {
  defaults = {
    id               = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rotation/providers/Microsoft.Web/sites/made-up"
    default_hostname = "made-up.azurewebsites.net"
    identity         = { principal_id = "00000000-0000-4000-8000-000000000005" }
  }
}

mock_resource "azurerm_log_analytics_workspace" {
  defaults = { id = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rotation/providers/Microsoft.OperationalInsights/workspaces/daena-kms-logs" }
}

mock_resource "azurerm_application_insights" {
  defaults = {
    id                = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rotation/providers/Microsoft.Insights/components/daena-kms-insights"
    connection_string = "InstrumentationKey=made-up"
  }
}

mock_resource "azurerm_role_definition" {
  defaults = { role_definition_resource_id = "/subscriptions/00000000-0000-4000-8000-000000000001/providers/Microsoft.Authorization/roleDefinitions/00000000-0000-4000-8000-000000000006" }
}

mock_resource "azurerm_eventgrid_system_topic" {
  defaults = {
    id       = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rotation/providers/Microsoft.EventGrid/systemTopics/daena-kms-vault"
    identity = { principal_id = "00000000-0000-4000-8000-000000000007" }
  }
}

mock_resource "azurerm_application_insights_workbook" {
  defaults = { id = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rotation/providers/Microsoft.Insights/workbooks/made-up" }
}
