output "audit_url" {
  description = "DAENA_KMS_AUDIT_URL for the command line."
  value       = module.daena_kms.audit_url
}

output "kms_key_names" {
  description = "GCP_KMS_KEY_NAMES for the command line."
  value       = module.daena_kms.kms_key_names
}

output "http_url" {
  description = "Address of the HTTP API."
  value       = module.daena_kms.http_url
}

output "alarm_names" {
  description = "Alarms of this deployment."
  value       = module.daena_kms.alarm_names
}
