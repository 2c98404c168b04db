output "key_vault_url" {
  description = "AZURE_KEY_VAULT_URL for everybody who rotates in this vault."
  value       = local.vault.url
}

output "audit_url" {
  description = "DAENA_KMS_AUDIT_URL for everybody who rotates in this vault."
  value       = local.audit_url
}

output "claims_url" {
  description = "DAENA_KMS_CLAIMS_URL for everybody who rotates in this vault."
  value       = local.claims_url
}

output "function_app_name" {
  description = "Name of the function app, to deploy the package to."
  value       = azurerm_function_app_flex_consumption.this.name
}

output "http_url" {
  description = "Address of the HTTP API. Requests carry a function's key."
  value       = "https://${azurerm_function_app_flex_consumption.this.default_hostname}"
}

output "rotator_principal_id" {
  description = "Object id of the identity that rotates."
  value       = azurerm_user_assigned_identity.rotator.principal_id
}

output "alarm_names" {
  description = "Names of the alarms, each described in docs/ALARMS.md."
  value = sort(concat(
    [for alarm in azurerm_monitor_scheduled_query_rules_alert_v2.this : alarm.name],
    [for alarm in azurerm_monitor_metric_alert.this : alarm.name],
    [azurerm_monitor_activity_log_alert.vault_deleted.name],
  ))
}

output "workbook_id" {
  description = "Id of the workbook, which is the dashboard."
  value       = azurerm_application_insights_workbook.this.id
}
