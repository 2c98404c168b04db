mock_provider "azurerm" {
  source          = "../../azure/tests/mocks"
  override_during = plan

  mock_resource "azurerm_subnet" {
    defaults = { id = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/daena-kms/providers/Microsoft.Network/virtualNetworks/daena-kms/subnets/functions" }
  }

  mock_resource "azurerm_monitor_action_group" {
    defaults = { id = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/daena-kms/providers/Microsoft.Insights/actionGroups/daena-kms-on-call" }
  }
}

variables {
  alarm_email            = "on-call@example.com"
  allowed_ips            = ["192.0.2.10"]
  entra_client_id        = "00000000-0000-4000-8000-00000000000c"
  auditor_principal_ids  = ["00000000-0000-4000-8000-00000000000a"]
  operator_principal_ids = ["00000000-0000-4000-8000-00000000000b"]
}

run "first" {
  command = plan

  assert {
    condition     = length(output.alarm_names) == 8
    error_message = "All alarms are there but those of events."
  }
}

run "with_the_package" {
  command = plan

  variables {
    package_is_deployed = true
  }

  assert {
    condition     = length(output.alarm_names) == 10
    error_message = "With events there are two alarms more."
  }
}

run "an_address_is_one" {
  command = plan

  variables {
    alarm_email = "nobody"
  }

  expect_failures = [var.alarm_email]
}
