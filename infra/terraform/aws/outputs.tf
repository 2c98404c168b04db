output "audit_url" {
  description = "DAENA_KMS_AUDIT_URL for everybody who rotates in this account."
  value       = local.audit_url
}

output "audit_bucket_arn" {
  description = "ARN of the audit log's bucket."
  value       = aws_s3_bucket.audit.arn
}

output "kms_key_arn" {
  description = "AWS_KMS_KEY_ID for whoever creates keys."
  value       = local.kms_key_arn
}

output "function_arns" {
  description = "ARNs of the functions, by name."
  value       = { for name, function in aws_lambda_function.this : name => function.arn }
}

output "role_arns" {
  description = "ARNs of the functions' roles, by name."
  value       = { for name, role in aws_iam_role.function : name => role.arn }
}

output "http_url" {
  description = "Address of the HTTP API, or null without one. Requests are signed with Signature Version 4."
  value       = one(aws_lambda_function_url.http[*].function_url)
}

output "http_caller_policy_arn" {
  description = "Policy to attach to roles of this account that may call the HTTP API, or null without one."
  value       = one(aws_iam_policy.http_caller[*].arn)
}

output "dead_letter_queue_url" {
  description = "Queue of the events that could not be delivered or handled."
  value       = aws_sqs_queue.dead_letters.url
}

output "alarm_names" {
  description = "Names of the alarms, each described in docs/ALARMS.md."
  value = sort(concat(
    [for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name],
    [aws_cloudwatch_metric_alarm.no_run.alarm_name],
  ))
}

output "dashboard_name" {
  description = "Name of the CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}
