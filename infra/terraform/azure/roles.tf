# Custom roles with exactly what is called: infra/permissions/azure.json. Built-in ones are wider:
# Key Vault Secrets Officer purges, Storage Blob Data Contributor overwrites and deletes.

locals {
  # A role may be assigned where the vault is, too, if that is another group.
  role_scopes = distinct([local.resource_group_id, regex("^/subscriptions/[^/]+/resourceGroups/[^/]+", local.vault_group)])
  vault_group = local.makes_vault ? local.resource_group_id : var.key_vault_id

  roles = {
    rotate = {
      about = "Rotate keys: find, look, set a new version, retire."
      data_actions = [
        "Microsoft.KeyVault/vaults/secrets/getSecret/action",
        "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
        "Microsoft.KeyVault/vaults/secrets/setSecret/action",
        "Microsoft.KeyVault/vaults/secrets/update/action",
      ]
    }
    log = {
      about = "Add objects and read them; overwrite and delete none."
      data_actions = [
        "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action",
        "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
      ]
    }
    operate = {
      about = "Delete keys, recoverably, and restore them."
      data_actions = [
        "Microsoft.KeyVault/vaults/secrets/delete",
        "Microsoft.KeyVault/vaults/secrets/recover/action",
      ]
    }
    audit_log = {
      about        = "Read the audit log."
      data_actions = ["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"]
    }
  }

  rotator = azurerm_user_assigned_identity.rotator.principal_id

  # On one vault and on one container each.
  assignments = merge(
    {
      rotator_vault  = { role = "rotate", scope = local.vault.id, principal = local.rotator }
      rotator_audit  = { role = "log", scope = local.scopes.audit, principal = local.rotator }
      rotator_claims = { role = "log", scope = local.scopes.claims, principal = local.rotator }
    },
    merge([for id in var.operator_principal_ids : {
      "${id}_vault"   = { role = "rotate", scope = local.vault.id, principal = id }
      "${id}_operate" = { role = "operate", scope = local.vault.id, principal = id }
      "${id}_audit"   = { role = "log", scope = local.scopes.audit, principal = id }
      "${id}_claims"  = { role = "log", scope = local.scopes.claims, principal = id }
    }]...),
    merge([for id in var.auditor_principal_ids : {
      "${id}_log" = { role = "audit_log", scope = local.scopes.audit, principal = id }
    }]...),
  )
}

resource "azurerm_role_definition" "this" {
  for_each = local.roles

  name              = "${var.name}-${local.suffix} ${each.key}"
  description       = each.value.about
  scope             = local.role_scopes[0]
  assignable_scopes = local.role_scopes

  permissions {
    actions      = []
    data_actions = each.value.data_actions
  }
}

resource "azurerm_role_assignment" "this" {
  for_each = local.assignments

  scope              = each.value.scope
  role_definition_id = azurerm_role_definition.this[each.value.role].role_definition_resource_id
  principal_id       = each.value.principal

  depends_on = [azurerm_storage_container.audit, azurerm_storage_container.claims]
}

# What the functions' host needs for itself: its lease, its keys and the package, in its own account.
resource "azurerm_role_assignment" "host" {
  scope                = azurerm_storage_account.host.id
  role_definition_name = "Storage Blob Data Owner"
  principal_id         = local.rotator
}

resource "azurerm_role_assignment" "telemetry" {
  scope                = azurerm_application_insights.this.id
  role_definition_name = "Monitoring Metrics Publisher"
  principal_id         = local.rotator
}

# References to the vault in settings are followed in the name of the app's own identity, which may
# read that one secret and nothing else.
resource "azurerm_role_assignment" "endpoint_secret" {
  count = var.endpoint_secret_name == null ? 0 : 1

  scope                = "${local.vault.id}/secrets/${var.endpoint_secret_name}"
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_function_app_flex_consumption.this.identity[0].principal_id
}
