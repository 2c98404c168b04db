# What to do when one rings is written in docs/ALARMS.md.

resource "azurerm_monitor_scheduled_query_rules_alert_v2" "this" {
  for_each = local.query_alarms

  name                    = "${var.name}-${each.key}"
  description             = "${each.value.about} ${local.runbook} ${each.key}."
  resource_group_name     = var.resource_group_name
  location                = var.location
  scopes                  = [each.value.scope]
  severity                = 1
  evaluation_frequency    = each.value.frequency
  window_duration         = each.value.window
  auto_mitigation_enabled = true
  # Tables are made by the first line in them.
  skip_query_validation = true
  tags                  = var.tags

  criteria {
    query                   = each.value.query
    operator                = each.value.operator
    threshold               = each.value.threshold
    time_aggregation_method = each.value.aggregation
    metric_measure_column   = each.value.column
  }

  action {
    action_groups = var.action_group_ids
  }
}

resource "azurerm_monitor_metric_alert" "this" {
  for_each = local.metric_alarms

  name                = "${var.name}-${each.key}"
  description         = "${each.value.about} ${local.runbook} ${each.key}."
  resource_group_name = var.resource_group_name
  scopes              = [each.value.scope]
  severity            = 1
  frequency           = "PT5M"
  window_size         = "PT5M"
  tags                = var.tags

  criteria {
    metric_namespace = each.value.namespace
    metric_name      = each.value.metric
    aggregation      = each.value.aggregation
    operator         = "GreaterThan"
    threshold        = 0

    dynamic "dimension" {
      for_each = length(each.value.status) == 0 ? [] : [each.value.status]

      content {
        name     = "StatusCode"
        operator = "Include"
        values   = dimension.value
      }
    }
  }

  dynamic "action" {
    for_each = toset(var.action_group_ids)

    content {
      action_group_id = action.value
    }
  }
}

resource "azurerm_monitor_activity_log_alert" "vault_deleted" {
  name                = "${var.name}-vault-deleted"
  description         = "The vault was deleted. ${local.runbook} vault-deleted."
  resource_group_name = var.resource_group_name
  location            = "global"
  scopes              = [local.vault.id]
  tags                = var.tags

  criteria {
    category       = "Administrative"
    operation_name = "Microsoft.KeyVault/vaults/delete"
    resource_id    = local.vault.id
  }

  dynamic "action" {
    for_each = toset(var.action_group_ids)

    content {
      action_group_id = action.value
    }
  }
}
