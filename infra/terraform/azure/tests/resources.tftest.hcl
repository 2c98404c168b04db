# Names, schedules, encryption, retention and settings.

mock_provider "azurerm" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  resource_group_name = "rotation"
  location            = "westeurope"
}

run "names" {
  command = plan

  variables {
    name = "rotation-eu"
    tags = { team = "platform" }
  }

  assert {
    condition     = can(regex("^rotation-eu-[0-9a-f]{6}$", azurerm_key_vault.this[0].name)) && azurerm_function_app_flex_consumption.this.name == azurerm_key_vault.this[0].name
    error_message = "The vault's and the app's names are the world's alone."
  }

  assert {
    condition     = can(regex("^rotationeulog[0-9a-f]{6}$", azurerm_storage_account.audit.name)) && can(regex("^rotationeuhost[0-9a-f]{6}$", azurerm_storage_account.host.name))
    error_message = "So are those of the storage accounts."
  }

  assert {
    condition     = alltrue([for tags in [azurerm_key_vault.this[0].tags, azurerm_storage_account.audit.tags, azurerm_function_app_flex_consumption.this.tags, azurerm_log_analytics_workspace.this.tags] : tags == tomap({ team = "platform" })])
    error_message = "Every resource carries the tags."
  }
}

run "vault" {
  command = plan

  variables {
    deleted_for_days = 30
  }

  assert {
    condition     = azurerm_key_vault.this[0].rbac_authorization_enabled && azurerm_key_vault.this[0].purge_protection_enabled && azurerm_key_vault.this[0].soft_delete_retention_days == 30
    error_message = "The vault is in RBAC mode, and what is deleted stays for its time."
  }

  assert {
    condition     = contains([for log in azurerm_monitor_diagnostic_setting.vault.enabled_log : log.category], "AuditEvent")
    error_message = "The vault's own audit events are kept."
  }
}

run "log" {
  command = plan

  variables {
    audit_retention_days   = 30
    audit_retention_locked = true
  }

  assert {
    condition     = azurerm_storage_container_immutability_policy.audit.immutability_period_in_days == 30 && azurerm_storage_container_immutability_policy.audit.locked && !azurerm_storage_container_immutability_policy.audit.protected_append_writes_enabled
    error_message = "Every object is kept as long as asked for."
  }

  assert {
    condition     = endswith(azurerm_storage_container_immutability_policy.audit.storage_container_resource_manager_id, "/containers/audit")
    error_message = "The policy is the log's, not that of the claims."
  }

  assert {
    condition = alltrue([for account in [azurerm_storage_account.audit, azurerm_storage_account.host] :
      !account.shared_access_key_enabled && account.https_traffic_only_enabled && account.min_tls_version == "TLS1_2" && !account.allow_nested_items_to_be_public && !account.local_user_enabled
    ])
    error_message = "No shared key, no public blob, TLS only."
  }
}

run "functions" {
  command = plan

  assert {
    condition     = azurerm_service_plan.this.sku_name == "FC1" && azurerm_function_app_flex_consumption.this.runtime_name == "python" && azurerm_function_app_flex_consumption.this.runtime_version == "3.13"
    error_message = "Functions run on Flex Consumption and Python 3.13."
  }

  assert {
    condition     = azurerm_function_app_flex_consumption.this.storage_authentication_type == "UserAssignedIdentity" && azurerm_function_app_flex_consumption.this.app_settings.AzureWebJobsStorage == "" && azurerm_function_app_flex_consumption.this.app_settings.AzureWebJobsStorage__credential == "managedidentity"
    error_message = "The host reaches its storage by its identity."
  }

  assert {
    condition     = azurerm_function_app_flex_consumption.this.https_only && !azurerm_function_app_flex_consumption.this.webdeploy_publish_basic_authentication_enabled
    error_message = "TLS only, and no password to publish with."
  }

  assert {
    condition     = azurerm_application_insights.this.local_authentication_disabled && !azurerm_log_analytics_workspace.this.local_authentication_enabled
    error_message = "Telemetry is taken by identity alone, so that the keys in the state open nothing."
  }

  assert {
    condition = alltrue([for name, value in {
      DAENA_CLOUD_KMS_PROVIDER                  = "azure"
      AZURE_CLIENT_ID                           = "00000000-0000-4000-8000-000000000003"
      AZURE_KEY_VAULT_URL                       = output.key_vault_url
      DAENA_KMS_AUDIT_URL                       = "az://${azurerm_storage_account.audit.name}/audit"
      DAENA_KMS_CLAIMS_URL                      = "az://${azurerm_storage_account.audit.name}/claims"
      DAENA_KMS_SCHEDULE                        = "0 7 * * * *"
      DAENA_KMS_EXPIRE                          = "false"
      DAENA_KMS_PAUSED                          = "false"
      PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME    = "daena_kms"
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING = "Authorization=AAD;ClientId=00000000-0000-4000-8000-000000000003"
    } : azurerm_function_app_flex_consumption.this.app_settings[name] == value])
    error_message = "By default the settings say where things are and who we are."
  }

  assert {
    condition     = length(azurerm_function_app_flex_consumption.this.auth_settings_v2) == 0
    error_message = "Without an app registration the function's key decides."
  }
}

run "settings" {
  command = plan

  variables {
    schedule        = "0 0 3 * * *"
    expire          = true
    rotate_after    = "30d"
    grace           = "48h"
    min_bits        = 128
    http_policy     = true
    min_interval    = "1h"
    paused          = true
    access          = "[{\"who\": \"*\", \"may\": [\"rotate\"]}]"
    endpoint        = "https://hooks.example.com/rotations"
    endpoint_allow  = ["hooks.internal", "10.0.0.7"]
    entra_client_id = "00000000-0000-4000-8000-00000000000c"
  }

  assert {
    condition = alltrue([for name, value in {
      DAENA_KMS_SCHEDULE       = "0 0 3 * * *"
      DAENA_KMS_EXPIRE         = "true"
      DAENA_KMS_ROTATE_AFTER   = "30d"
      DAENA_KMS_GRACE          = "48h"
      DAENA_KMS_MIN_BITS       = "128"
      DAENA_KMS_HTTP_POLICY    = "true"
      DAENA_KMS_MIN_INTERVAL   = "1h"
      DAENA_KMS_PAUSED         = "true"
      DAENA_KMS_ACCESS         = "[{\"who\": \"*\", \"may\": [\"rotate\"]}]"
      DAENA_KMS_ENDPOINT       = "https://hooks.example.com/rotations"
      DAENA_KMS_ENDPOINT_ALLOW = "hooks.internal,10.0.0.7"
    } : azurerm_function_app_flex_consumption.this.app_settings[name] == value])
    error_message = "Every setting reaches the functions under its own name."
  }

  assert {
    condition     = azurerm_function_app_flex_consumption.this.auth_settings_v2[0].unauthenticated_action == "Return401" && tolist(azurerm_function_app_flex_consumption.this.auth_settings_v2[0].excluded_paths) == tolist(["/v1/health", "/runtime/webhooks/eventgrid"])
    error_message = "With an app registration nobody gets in unnamed, but to health."
  }
}

run "network" {
  command = plan

  variables {
    subnet_id   = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/functions"
    allowed_ips = ["192.0.2.10"]
  }

  assert {
    condition     = azurerm_key_vault.this[0].network_acls[0].default_action == "Deny" && azurerm_storage_account.audit.network_rules[0].default_action == "Deny"
    error_message = "With a subnet, vault and log refuse other networks."
  }

  assert {
    condition     = azurerm_function_app_flex_consumption.this.virtual_network_subnet_id == var.subnet_id && contains(azurerm_key_vault.this[0].network_acls[0].ip_rules, "192.0.2.10")
    error_message = "The functions and the named addresses get in."
  }
}

run "events" {
  command = plan

  variables {
    events_enabled = true
  }

  assert {
    condition     = tolist(azurerm_eventgrid_system_topic_event_subscription.expiring[0].included_event_types) == tolist(["Microsoft.KeyVault.SecretNearExpiry"]) && endswith(azurerm_eventgrid_system_topic_event_subscription.expiring[0].azure_function_endpoint[0].function_id, "/functions/expiring")
    error_message = "Events of secrets near their expiry go to their function."
  }

  assert {
    condition     = azurerm_eventgrid_system_topic_event_subscription.expiring[0].storage_blob_dead_letter_destination[0].storage_blob_container_name == "dead-letters" && azurerm_eventgrid_system_topic_event_subscription.expiring[0].retry_policy[0].max_delivery_attempts == 10
    error_message = "What can't be delivered is tried again, and then kept."
  }
}
