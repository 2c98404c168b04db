# Who may do what, with a provider that makes nothing.

mock_provider "azurerm" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  resource_group_name = "rotation"
  location            = "westeurope"
}

run "roles" {
  command = plan

  assert {
    condition = tolist(azurerm_role_definition.this["rotate"].permissions[0].data_actions) == tolist([
      "Microsoft.KeyVault/vaults/secrets/getSecret/action",
      "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
      "Microsoft.KeyVault/vaults/secrets/setSecret/action",
      "Microsoft.KeyVault/vaults/secrets/update/action",
    ])
    error_message = "Who rotates may do exactly what a run calls."
  }

  assert {
    condition = tolist(azurerm_role_definition.this["log"].permissions[0].data_actions) == tolist([
      "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action",
      "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
    ])
    error_message = "The log and the claims are added to and read, never overwritten."
  }

  assert {
    condition = alltrue(flatten([for role in azurerm_role_definition.this : [
      for action in role.permissions[0].data_actions : !can(regex("\\*|purge|blobs/delete|blobs/write", action))
    ]]))
    error_message = "No role purges, overwrites or deletes a blob, or has a wildcard."
  }

  assert {
    condition     = alltrue([for role in azurerm_role_definition.this : length(coalesce(role.permissions[0].actions, [])) == 0])
    error_message = "No role changes a resource itself."
  }
}

run "assignments" {
  command = plan

  assert {
    condition     = keys(azurerm_role_assignment.this) == ["rotator_audit", "rotator_claims", "rotator_vault"]
    error_message = "Nobody but the functions' identity has a role."
  }

  assert {
    condition     = azurerm_role_assignment.this["rotator_vault"].scope == azurerm_key_vault.this[0].id
    error_message = "Keys of the one vault can be rotated."
  }

  assert {
    condition     = endswith(azurerm_role_assignment.this["rotator_audit"].scope, "/blobServices/default/containers/audit") && endswith(azurerm_role_assignment.this["rotator_claims"].scope, "/blobServices/default/containers/claims")
    error_message = "Blobs of the two containers can be added."
  }

  assert {
    condition     = azurerm_role_assignment.host.scope == azurerm_storage_account.host.id && azurerm_storage_account.host.name != azurerm_storage_account.audit.name
    error_message = "What the host may do holds for its own account, which is not the log's."
  }

  assert {
    condition     = length(azurerm_role_assignment.endpoint_secret) == 0 && length(azurerm_role_assignment.dead_letters) == 0
    error_message = "What is not switched on has no role."
  }
}

run "people" {
  command = plan

  variables {
    auditor_principal_ids  = ["00000000-0000-4000-8000-00000000000a"]
    operator_principal_ids = ["00000000-0000-4000-8000-00000000000b"]
  }

  assert {
    condition     = [for name in keys(azurerm_role_assignment.this) : name if startswith(name, "00000000-0000-4000-8000-00000000000a")] == ["00000000-0000-4000-8000-00000000000a_log"]
    error_message = "An auditor reads the log."
  }

  assert {
    condition     = length([for name in keys(azurerm_role_assignment.this) : name if startswith(name, "00000000-0000-4000-8000-00000000000b")]) == 4
    error_message = "An operator may do what the functions may, and delete and restore."
  }

  assert {
    condition     = tolist(azurerm_role_definition.this["audit_log"].permissions[0].data_actions) == tolist(["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"])
    error_message = "An auditor reads no value and adds nothing."
  }
}

run "own_vault" {
  command = plan

  variables {
    key_vault_id = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/other/providers/Microsoft.KeyVault/vaults/their-vault"
  }

  assert {
    condition     = length(azurerm_key_vault.this) == 0 && azurerm_role_assignment.this["rotator_vault"].scope == var.key_vault_id
    error_message = "A vault of one's own is used, and none made."
  }

  assert {
    condition     = output.key_vault_url == "https://their-vault.vault.azure.net" && azurerm_monitor_diagnostic_setting.vault.target_resource_id == var.key_vault_id
    error_message = "Its address is known, and its audit events are kept."
  }

  assert {
    condition     = length(azurerm_role_definition.this["rotate"].assignable_scopes) == 2
    error_message = "Roles can be assigned in the vault's group, too."
  }
}

run "endpoint_secret" {
  command = plan

  variables {
    endpoint_secret_name = "webhook-secret"
  }

  assert {
    condition     = endswith(azurerm_role_assignment.endpoint_secret[0].scope, "/secrets/webhook-secret") && azurerm_role_assignment.endpoint_secret[0].role_definition_name == "Key Vault Secrets User"
    error_message = "The platform may read that one secret."
  }

  assert {
    condition     = endswith(azurerm_function_app_flex_consumption.this.app_settings.DAENA_KMS_ENDPOINT_SECRET, "/secrets/webhook-secret/)") && startswith(azurerm_function_app_flex_consumption.this.app_settings.DAENA_KMS_ENDPOINT_SECRET, "@Microsoft.KeyVault(SecretUri=https://")
    error_message = "The setting is a reference that the platform follows."
  }

  assert {
    condition     = azurerm_function_app_flex_consumption.this.identity[0].type == "SystemAssigned, UserAssigned"
    error_message = "References are followed in the app's own name."
  }
}

run "events" {
  command = plan

  variables {
    events_enabled = true
  }

  assert {
    condition     = azurerm_role_assignment.dead_letters[0].principal_id == "00000000-0000-4000-8000-000000000007" && endswith(azurerm_role_assignment.dead_letters[0].scope, "/containers/dead-letters")
    error_message = "The topic may write dead letters, into one container."
  }
}
