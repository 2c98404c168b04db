# Alarms, what they watch, and the dashboard.

mock_provider "azurerm" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  resource_group_name = "rotation"
  location            = "westeurope"
}

run "alarms" {
  command = plan

  variables {
    events_enabled   = true
    action_group_ids = ["/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rotation/providers/Microsoft.Insights/actionGroups/on-call"]
  }

  assert {
    condition = output.alarm_names == tolist([
      "daena-kms-dead-letter", "daena-kms-dropped", "daena-kms-key-material", "daena-kms-no-run", "daena-kms-overdue",
      "daena-kms-refused-calls", "daena-kms-run-failed", "daena-kms-throttled", "daena-kms-unauthorised",
      "daena-kms-vault-deleted",
    ])
    error_message = "There is an alarm for each thing that can go wrong."
  }

  assert {
    condition = alltrue([for alarm in values(azurerm_monitor_scheduled_query_rules_alert_v2.this) :
      tolist(alarm.action[0].action_groups) == tolist(var.action_group_ids) && strcontains(alarm.description, "docs/ALARMS.md")
    ])
    error_message = "Every question's alarm notifies and says where to read on."
  }

  assert {
    condition = alltrue([for alarm in concat(values(azurerm_monitor_metric_alert.this), [azurerm_monitor_activity_log_alert.vault_deleted]) :
      one([for action in alarm.action : action.action_group_id]) == var.action_group_ids[0] && strcontains(alarm.description, "docs/ALARMS.md")
    ])
    error_message = "Every other alarm does, too."
  }

  assert {
    condition     = azurerm_monitor_scheduled_query_rules_alert_v2.this["no-run"].criteria[0].operator == "LessThan" && azurerm_monitor_scheduled_query_rules_alert_v2.this["no-run"].window_duration == "PT3H"
    error_message = "Silence is what this alarm is about."
  }

  assert {
    condition = alltrue([for alarm in ["no-run", "overdue"] :
      endswith(azurerm_monitor_scheduled_query_rules_alert_v2.this[alarm].criteria[0].query, "and tostring(customDimensions.trigger) == \"schedule\"")
    ])
    error_message = "Runs of one key for an event quiet neither alarm."
  }

  assert {
    condition     = strcontains(azurerm_monitor_scheduled_query_rules_alert_v2.this["overdue"].criteria[0].query, "daena_kms.overdue") && azurerm_monitor_scheduled_query_rules_alert_v2.this["overdue"].criteria[0].time_aggregation_method == "Minimum"
    error_message = "Overdue keys are counted by the functions' own metric."
  }

  assert {
    condition     = azurerm_monitor_metric_alert.this["throttled"].criteria[0].dimension[0].values[0] == "429" && azurerm_monitor_metric_alert.this["throttled"].criteria[0].metric_name == "ServiceApiResult"
    error_message = "The vault's own answers tell of throttling."
  }
}

run "without_events" {
  command = plan

  assert {
    condition     = !contains(output.alarm_names, "daena-kms-dead-letter") && length(output.alarm_names) == 8
    error_message = "Without events there are no dead letters."
  }
}

run "dashboard" {
  command = plan

  assert {
    condition     = length(jsondecode(azurerm_application_insights_workbook.this.data_json).items) == 5
    error_message = "The workbook has five charts."
  }

  assert {
    condition = alltrue([for name in ["rotated", "failed", "lateness", "duration", "keys"] :
      anytrue([for item in jsondecode(azurerm_application_insights_workbook.this.data_json).items : strcontains(item.content.query, "\"daena_kms.${name}\"")])
    ])
    error_message = "Rotations, failures, ages, durations and counts are on it."
  }
}
