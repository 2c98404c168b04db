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

output "http_url" {
  description = "Address of the HTTP API."
  value       = module.daena_kms.http_url
}

output "alarm_names" {
  description = "Alarms of this deployment."
  value       = module.daena_kms.alarm_names
}
