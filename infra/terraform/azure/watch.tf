resource "azurerm_log_analytics_workspace" "this" {
  name                         = "${var.name}-logs"
  resource_group_name          = var.resource_group_name
  location                     = var.location
  sku                          = "PerGB2018"
  retention_in_days            = var.log_retention_days
  local_authentication_enabled = false
  tags                         = var.tags
}

resource "azurerm_application_insights" "this" {
  name                          = "${var.name}-insights"
  resource_group_name           = var.resource_group_name
  location                      = var.location
  workspace_id                  = azurerm_log_analytics_workspace.this.id
  application_type              = "web"
  local_authentication_disabled = true
  tags                          = var.tags
}

locals {
  insights  = azurerm_application_insights.this.id
  workspace = azurerm_log_analytics_workspace.this.id
  runbook   = "What to do: docs/ALARMS.md, Azure,"

  # A run of one key, for an event, says nothing of the others.
  scheduled = "tostring(customDimensions.trigger) == \"schedule\""

  # Questions to the functions' telemetry (daena_kms.* are the functions' own figures) and to the vault's events.
  query_alarms = {
    run-failed = {
      about  = "A run failed, or a key failed in it."
      scope  = local.insights, frequency = "PT5M", window = "PT10M"
      column = null, aggregation = "Count", operator = "GreaterThan", threshold = 0
      query  = <<-KQL
        union isfuzzy=true
          (customMetrics | where name == "daena_kms.failed" and valueSum > 0),
          (requests | where success == false and operation_Name in ("scheduled", "expiring")),
          (traces | where message startswith "Executed 'Functions.scheduled' (Failed" or message startswith "Executed 'Functions.expiring' (Failed")
      KQL
    }
    overdue = {
      about  = "Keys have been overdue in every run of three hours, whether a run failed or not."
      scope  = local.insights, frequency = "PT1H", window = "PT3H"
      column = "valueMax", aggregation = "Minimum", operator = "GreaterThan", threshold = 0
      query  = "customMetrics | where name == \"daena_kms.overdue\" and ${local.scheduled}"
    }
    no-run = {
      about  = "No run has come to its end for ${var.expected_within_hours} hours."
      scope  = local.insights, frequency = "PT15M"
      window = { 1 = "PT1H", 2 = "PT2H", 3 = "PT3H", 4 = "PT4H", 5 = "PT5H", 6 = "PT6H", 24 = "P1D", 48 = "P2D" }[var.expected_within_hours]
      column = null, aggregation = "Count", operator = "LessThan", threshold = 1
      query  = "customMetrics | where name == \"daena_kms.keys\" and ${local.scheduled}"
    }
    unauthorised = {
      about  = "The API refused a caller."
      scope  = local.insights, frequency = "PT5M", window = "PT10M"
      column = null, aggregation = "Count", operator = "GreaterThan", threshold = 0
      query  = <<-KQL
        union isfuzzy=true
          (requests | where resultCode in ("401", "403")),
          (traces | where message startswith "{" | extend line = parse_json(message) | where line.event == "http" and toint(line.status) in (401, 403))
      KQL
    }
    key-material = {
      about  = "A secret or a key of the vault was deleted or purged."
      scope  = local.workspace, frequency = "PT5M", window = "PT10M"
      column = null, aggregation = "Count", operator = "GreaterThan", threshold = 0
      query  = <<-KQL
        AZKVAuditLogs
        | where _ResourceId =~ "${local.vault.id}" and HttpStatusCode < 300
        | where OperationName in ("SecretDelete", "SecretPurge", "KeyDelete", "KeyPurge", "CertificateDelete", "CertificatePurge")
      KQL
    }
  }

  metric_alarms = merge(
    {
      throttled = {
        about  = "Key Vault refused calls for their rate.", scope = local.vault.id, namespace = "Microsoft.KeyVault/vaults"
        metric = "ServiceApiResult", aggregation = "Count", status = ["429"]
      }
      refused-calls = {
        about  = "Key Vault refused calls that the caller may not make.", scope = local.vault.id, namespace = "Microsoft.KeyVault/vaults"
        metric = "ServiceApiResult", aggregation = "Count", status = ["403"]
      }
    },
    { for alarm, metric in { dead-letter = "DeadLetteredCount", dropped = "DroppedEventCount" } : alarm => {
      about                              = "Event Grid could not deliver an event of the vault.", scope = azurerm_eventgrid_system_topic.vault[0].id
      namespace                          = "Microsoft.EventGrid/systemTopics", metric = metric, aggregation = "Total", status = []
    } if var.events_enabled },
  )
}
